# SPDX-License-Identifier: Apache-2.0
#
# The clients. Each is a process, with a few threads, until SIGTERM; then it writes what became of each request, as a
# line of JSON:
#
#   {"way": "outside to node port", "kind": "request", "begin": 12.1, "end": 12.2, "error": ""}
#   {"way": ..., "kind": "connection", "begin": ..., "end": ..., "error": "", "server": "web-21"}
#
# Times are of the monotonic clock, which the processes of the test share. `error` is empty where all went well. A
# connection is held for a while, a word every 0.2 s, and `end` is when it broke or was closed.
import json
import random
import signal
import socket
import struct
import threading
import time

import client

PATIENCE = 6


class Clients:
    """kind: "request", "affine", "udp" or "connection"."""

    def __init__(self, way, kind, address, port, seed, workers=1, held=(1, 60)):
        self.way, self.kind, self.address, self.port = way, kind, address, port
        self.workers, self.held, self.seed = workers, held, f"{seed} {way} {kind}"
        self.ending, self.lock, self.records = threading.Event(), threading.Lock(), []

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.ending.set())
        work = {"request": self._request, "affine": self._request, "udp": self._udp, "connection": self._hold}
        threads = [threading.Thread(target=self._repeat, args=(work[self.kind], number))
                   for number in range(self.workers)]
        for thread in threads:
            thread.start()
        while not self.ending.wait(0.2):  # a signal is only seen between two waits
            pass
        for thread in threads:
            thread.join()
        print("\n".join(json.dumps(record) for record in self.records), flush=True)

    def _repeat(self, work, number):
        chance = random.Random(f"{self.seed} {number}")
        while not self.ending.is_set():
            record = {"way": self.way, "kind": self.kind, "begin": time.monotonic(), "error": "", "server": ""}
            try:
                work(record, chance)
            except OSError as error:
                record["error"] = str(error) or repr(error)
            record["end"] = time.monotonic()
            with self.lock:
                self.records.append(record)
            self.ending.wait(chance.choice((0.02, 0.05, 0.2)))

    def _request(self, record, _):
        host = f"[{self.address}]" if ":" in self.address else self.address
        record["server"] = client.get(f"http://{host}:{self.port}/", timeout=PATIENCE).strip()

    # UDP loses a datagram now and then, as when an endpoint goes: who uses it asks again.
    def _udp(self, record, _):
        with socket.socket(client.family_of(self.address), socket.SOCK_DGRAM) as udp:
            udp.settimeout(1)
            udp.connect((self.address, self.port))
            for left in (2, 1, 0):
                try:
                    udp.send(b"who\n")
                    record["server"] = udp.recv(4096).decode().strip()
                    return
                except OSError:
                    if not left:
                        raise

    def _hold(self, record, chance):
        with socket.socket(client.family_of(self.address), socket.SOCK_STREAM) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.settimeout(PATIENCE)
            connection.connect((self.address, self.port))
            name = b""
            while not name.endswith(b"\n"):
                name += self._some(connection)
            record["server"] = name.decode().strip()
            until = time.monotonic() + chance.uniform(*self.held)
            while time.monotonic() < until and not self.ending.is_set():
                connection.sendall(b"x")
                self._some(connection)
                self.ending.wait(0.2)

    @staticmethod
    def _some(connection):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("closed")
        return piece
