# SPDX-License-Identifier: Apache-2.0
#
# Loads an address until SIGTERM, then says in one line of JSON how it went. Of each kind there are so many workers:
#
#   requests      short HTTP requests, a connection each, one after the other
#   connections   a long-lived connection to an echo server, a byte every 200 ms
#   datagrams     a question by UDP every 200 ms, always from the same port: one flow
#
#   {"total": 1208, "failed": 0, "slowest_ms": 18, "names": {"my-nginx-1": 403, ...}, "broken": {}, "errors": {},
#    "failed_at": []}
#
# `total` counts answers, or bytes that came back; `failed` the requests that did not get an answer, or the connections
# that broke; `names` the answers, or connections, by the server's name; `broken` the connections that broke, by the
# server's name; `failed_at` when the first of the exchanges that failed began, in seconds since 1970. A connection that
# breaks is not opened again.
import json
import signal
import socket
import threading
import time

PATIENCE = 20  # seconds until an answer is a failure
PAUSE = 0.05  # seconds between two requests of a worker
BYTE_PAUSE = 0.2  # seconds between two bytes of a connection


class Load:
    """`going`: an empty file that it makes when there were as many answers or failures as there are workers."""

    def __init__(self, kind, address, port, workers, going):
        self.address, self.port, self.workers, self.going = address, port, workers, going
        self.work = {"requests": self._request_again_and_again, "connections": self._hold_connection,
                     "datagrams": self._ask_again_and_again}[kind]
        self.total = self.failed = 0
        self.slowest = 0.0
        self.names, self.broken, self.errors, self.failed_at = {}, {}, {}, []
        self.ending, self.lock = threading.Event(), threading.Lock()

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.ending.set())
        threads = [threading.Thread(target=self.work) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        going = self.going
        while not self.ending.wait(0.2):  # a signal is only seen between two waits
            if going and self.total + self.failed >= self.workers:
                open(going, "w").close()
                going = None
        for thread in threads:
            thread.join()
        print(json.dumps({"total": self.total, "failed": self.failed, "slowest_ms": int(self.slowest * 1000),
                          "names": self.names, "broken": self.broken, "errors": self.errors,
                          "failed_at": self.failed_at}), flush=True)

    def _connect(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE)
        connection.connect((self.address, self.port))
        return connection

    def _ask(self):
        with self._connect() as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b""
            while piece := connection.recv(4096):
                text += piece
        head, end, body = text.partition(b"\r\n\r\n")
        if not end or b" 200 " not in head:
            raise OSError("not a whole answer")
        return body.decode().strip()

    def _count(self, name, begin):
        with self.lock:
            self.total += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)
            if name:
                self.names[name] = self.names.get(name, 0) + 1

    def _count_failure(self, error, begin, name=None):
        began = time.time() - (time.monotonic() - begin)
        with self.lock:
            self.failed += 1
            if name:
                self.broken[name] = self.broken.get(name, 0) + 1
            self.failed_at += [round(began, 2)] if len(self.failed_at) < 5 else []
            self.errors[str(error)] = self.errors.get(str(error), 0) + 1

    def _request_again_and_again(self):
        while not self.ending.is_set():
            begin = time.monotonic()
            try:
                self._count(self._ask(), begin)
            except OSError as error:
                self._count(None, begin)
                self._count_failure(error, begin)
            self.ending.wait(PAUSE)

    def _ask_again_and_again(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect((self.address, self.port))
            while not self.ending.is_set():
                begin = time.monotonic()
                try:
                    client.send(b"who\n")
                    self._count(client.recv(100).decode().strip(), begin)
                except OSError as error:
                    self._count(None, begin)
                    self._count_failure(error, begin)
                self.ending.wait(BYTE_PAUSE)

    def _read_line(self, connection):
        line = b""
        while not line.endswith(b"\n"):
            piece = connection.recv(1)
            if not piece:
                raise OSError("closed")
            line += piece
        return line.decode().strip()

    def _exchange_byte(self, connection):
        begin = time.monotonic()
        connection.sendall(b"x")
        if connection.recv(1) != b"x":
            raise OSError("closed")
        self._count(None, begin)

    def _hold_connection(self):
        name, begin = None, time.monotonic()
        try:
            with self._connect() as connection:
                name = self._read_line(connection)
                with self.lock:
                    self.names[name] = self.names.get(name, 0) + 1
                while not self.ending.is_set():
                    begin = time.monotonic()
                    self._exchange_byte(connection)
                    self.ending.wait(BYTE_PAUSE)
        except OSError as error:
            self._count_failure(error, begin, name)
