# SPDX-License-Identifier: Apache-2.0
#
# Clients of the end-to-end tests: HTTP, UDP, SCTP, and TCP connections that stay open. Each opens its socket in the
# network namespace that this thread is in. All errors are OSErrors: ConnectionRefusedError, TimeoutError and so on.
import socket
import struct
import time


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def split_url(url):
    """"http://[fd00::1]:8080/path" is ("fd00::1", 8080, "[fd00::1]:8080", "/path")."""
    host, slash, path = url.removeprefix("http://").partition("/")
    address, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        address, port = host, "80"
    return address.strip("[]"), int(port), host, slash + path or "/"


class Answer:
    """status: 200. headers: by lower case name. body: text."""

    def __init__(self, data):
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            raise ConnectionError(f"not a whole answer: {data[:100]}")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {}
        for line in lines:
            name, _, text = line.partition(":")
            self.headers[name.lower()] = text.strip()
        self.body = body.decode()


def fetch(url, *, timeout=10, source=None, bind=None, headers=None):
    """One request on a connection of its own. `source`: the client's address. `bind`: what gives the socket address and
    port. `timeout`: seconds without a word."""
    address, port, host, path = split_url(url)
    with socket.socket(family_of(address), socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        if source:
            connection.bind((source, 0))
        if bind:
            bind(connection)
        connection.connect((address, port))
        lines = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n{lines}\r\n".encode())
        data = []
        while piece := connection.recv(65536):
            data.append(piece)
    if not data:
        raise ConnectionError("closed without an answer")
    return Answer(b"".join(data))


def get(url, **options):
    """The body. A status of 400 or more is an error."""
    answer = fetch(url, **options)
    if answer.status >= 400:
        raise OSError(f"{url}: {answer.status}")
    return answer.body


class UdpClient:
    """Questions of one socket, so that they are one flow."""

    def __init__(self, address, port, source_port=None):
        self.socket = socket.socket(family_of(address), socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        if source_port:
            self.socket.bind(("", source_port))
        self.socket.connect((address, port))

    def ask(self):
        """The answer, or "nothing" after five seconds or when the question is refused."""
        try:
            self.socket.send(b"who\n")
            return self.socket.recv(4096).decode().strip()
        except OSError:
            return "nothing"

    def close(self):
        self.socket.close()


class EchoClient:
    """A TCP connection to an echo server (server.py's port 7). `server` is the server's name.

    Closing resets it, so that IPVS forgets it after ten seconds and not after minutes.
    """

    def __init__(self, address, port):
        self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.settimeout(20)
        self.socket.connect((address, port))
        self.server = self._line()

    def _line(self):
        text = b""
        while not text.endswith(b"\n"):
            piece = self.socket.recv(1)
            if not piece:
                raise ConnectionError("closed")
            text += piece
        return text.decode().strip()

    def works(self, seconds=5):
        """Words come back within that time."""
        try:
            self.socket.settimeout(seconds)
            self.socket.sendall(b"still there\n")
            return self._line() == "still there"
        except OSError:
            return False

    def close(self):
        self.socket.close()


def ask_sctp(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as client:
        client.settimeout(5)
        client.connect((address, port))
        return client.recv(100).decode().strip()


def knock(kind, address, port, count):
    """Asks an address that nobody serves, `count` times, each from a new port; `kind` is "tcp" or "udp".

    {"refused": 200, "silent": 0, "answered": 0, "median_ms": 1, "slowest_ms": 4}

    Silent is what was not answered in 0.9 s: after one second TCP would ask again.
    """
    results, times = {"refused": 0, "silent": 0, "answered": 0}, []
    for _ in range(count):
        begin = time.monotonic()
        results[_knock_once({"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind], address, port)] += 1
        times.append((time.monotonic() - begin) * 1000)
    times.sort()
    return {**results, "median_ms": int(times[count // 2]), "slowest_ms": int(times[-1])}


def _knock_once(kind, address, port):
    with socket.socket(family_of(address), kind) as client:
        client.settimeout(0.9)
        try:
            client.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                client.send(b"x")
                client.recv(1)
            return "answered"
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
