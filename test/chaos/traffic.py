# SPDX-License-Identifier: Apache-2.0
#
# The clients. Each place has a process with a thread for each way, until SIGTERM; then it writes what became of each
# request, as a line of JSON:
#
#   {"way": "outside to node port", "kind": "request", "begin": 12.1, "end": 12.2, "error": "", "server": "web-21"}
#
# Times are of the monotonic clock, which the processes of the test share. `error` is empty where all went well. A
# connection is held for a while, with a word every half second, and `end` is when it broke or was closed.
import errno
import itertools
import json
import random
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass

import client

PATIENCE = 6
# No port is used twice within minutes, nor in two places. Two connections from one port to two virtual IPs of the same
# pod are one and the same behind them, as are those of two places that are masqueraded with their ports: connection
# tracking drops the later one.
FIRST_PORT, PORTS_EACH = 11000, 4700
PAUSES = {"request": (0.1, 0.3, 0.8), "affine": (0.4, 0.8, 1.2), "datagram": (0.2, 0.4, 0.8), "connection": (0.1, 0.5),
          "direct": (0.3,)}
HELD = (1, 5, 15, 40, 90, 600)  # seconds of a connection


@dataclass(frozen=True)
class Way:
    """kind: "request", "affine", "datagram" or "connection"; "direct" for one that asks a pod itself."""
    name: str
    kind: str
    address: str
    port: int


class Clients:
    """`place`: its number, from 0 on."""

    def __init__(self, ways, seed, place):
        first = FIRST_PORT + place * PORTS_EACH
        self.ways, self.seed, self.ports = ways, seed, itertools.cycle(range(first, first + PORTS_EACH))
        self.ending, self.lock, self.records = threading.Event(), threading.Lock(), []

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.ending.set())
        threads = [threading.Thread(target=self._repeat, args=(way,)) for way in self.ways]
        for thread in threads:
            thread.start()
        while not self.ending.wait(0.2):  # a signal is only seen between two waits
            pass
        for thread in threads:
            thread.join()
        print("\n".join(json.dumps(record) for record in self.records), flush=True)

    def _repeat(self, way):
        chance = random.Random(f"{self.seed} {way}")
        work = {"request": self._request, "affine": self._affine, "direct": self._request, "datagram": self._ask,
                "connection": self._hold}
        while not self.ending.wait(chance.choice(PAUSES[way.kind])):
            record = {"way": way.name, "kind": way.kind, "begin": time.monotonic(), "error": "", "server": ""}
            try:
                work[way.kind](way, record, chance)
            except OSError as error:
                record["error"] = str(error) or repr(error)
            record["end"] = time.monotonic()
            with self.lock:
                self.records.append(record)

    def _next_port(self):
        with self.lock:
            return next(self.ports)

    def _bind(self, connection):
        """To the next port that is free: a connection of the last round may still be open."""
        while True:
            try:
                return connection.bind(("", self._next_port()))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise

    def _request(self, way, record, _):
        record["server"] = client.get(f"http://{way.address}:{way.port}/", timeout=PATIENCE, bind=self._bind).strip()

    # IPVS knows a connection with affinity by its port for two minutes, and whoever connects from this port again comes
    # to the pod of that time (is_new_conn_expected() in ip_vs_core.c).
    def _affine(self, way, record, _):
        with socket.socket(client.family_of(way.address), socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            self._bind(connection)
            connection.connect((way.address, way.port))
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while piece := connection.recv(4096):
                data += piece
        if not data:
            raise ConnectionError("closed without an answer")
        record["server"] = client.Answer(data).body.strip()

    # UDP loses a datagram now and then, as when an endpoint goes: who uses it asks again.
    def _ask(self, way, record, _):
        with socket.socket(client.family_of(way.address), socket.SOCK_DGRAM) as udp:
            udp.settimeout(1)
            self._bind(udp)
            udp.connect((way.address, way.port))
            for left in (2, 1, 0):
                try:
                    udp.send(b"who\n")
                    record["server"] = udp.recv(4096).decode().strip()
                    return
                except OSError:
                    if not left:
                        raise

    def _hold(self, way, record, chance):
        with socket.socket(client.family_of(way.address), socket.SOCK_STREAM) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.settimeout(PATIENCE)
            self._bind(connection)
            connection.connect((way.address, way.port))
            name = b""
            while not name.endswith(b"\n"):
                name += self._some(connection)
            record["server"] = name.decode().strip()
            until = time.monotonic() + chance.choice(HELD)
            while time.monotonic() < until and not self.ending.is_set():
                connection.sendall(b"x")
                self._some(connection)
                self.ending.wait(0.5)

    @staticmethod
    def _some(connection):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("closed")
        return piece
