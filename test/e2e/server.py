# SPDX-License-Identifier: Apache-2.0
#
# What runs in a pod: answers its own name.
#
#   TCP 80 (or http_port)   HTTP: the name, at /client the client's address as the pod sees it, at /large 60 KB; then
#                           the connection is closed
#   TCP 7                   the name as a line, then each byte comes back
#   UDP 53                  each datagram is answered by the name as a line
#
# IPv4 and IPv6 (where the kernel has it), in the network namespace where the Server was made; from then on clients can
# connect. On SIGTERM run() does what a well-behaved server does: it takes what has still been sent to it, and returns
# when nobody has asked for a moment. One thread.
import select
import signal
import socket

from namespace import HAS_IPV6

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


def bind(kind, port):
    listener = socket.socket(socket.AF_INET6 if HAS_IPV6 else socket.AF_INET, kind)
    if HAS_IPV6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::" if HAS_IPV6 else "", port))
    if kind == socket.SOCK_STREAM:
        listener.listen(512)
    listener.setblocking(False)
    return listener


class Server:
    def __init__(self, name, http_port=80):
        self.name = name.encode()
        self.http = bind(socket.SOCK_STREAM, http_port)
        self.echo = bind(socket.SOCK_STREAM, 7)
        self.datagrams = bind(socket.SOCK_DGRAM, 53)
        self.listeners = (self.http, self.echo, self.datagrams)
        self.sockets, self.requests, self.echoes = {}, {}, set()
        self.ending = False

    def close(self):
        for listener in self.listeners:
            listener.close()

    def run(self):
        signal.signal(signal.SIGTERM, self._end)
        self.waiting = select.epoll()
        for listener in self.listeners:
            self._watch(listener)
        while True:
            events = self.waiting.poll(0.3 if self.ending else 1)
            if self.ending and not events:
                return
            for number, _ in events:
                self._handle_safely(number)

    def _end(self, *_):
        self.ending = True

    def _watch(self, opened):
        self.sockets[opened.fileno()] = opened
        self.waiting.register(opened, select.EPOLLIN)

    def _handle_safely(self, number):
        try:
            self._handle(self.sockets[number])
        except (BlockingIOError, KeyError):
            pass
        except OSError:
            if number in self.sockets:
                self._drop(self.sockets[number])

    def _handle(self, ready):
        if ready is self.datagrams:
            _, client = ready.recvfrom(4096)
            ready.sendto(self.name + b"\n", client)
        elif ready in self.requests:
            self._serve_http(ready)
        elif ready in self.echoes:
            self._serve_echo(ready)
        else:
            self._accept(ready)

    def _accept(self, listener):
        connection, _ = listener.accept()
        self._watch(connection)
        if listener is self.http:
            self.requests[connection] = b""
        else:
            self.echoes.add(connection)
            connection.sendall(self.name + b"\n")

    def _serve_http(self, connection):
        self.requests[connection] += connection.recv(4096) or b"\r\n\r\n"
        if b"\r\n\r\n" in self.requests[connection]:
            path = self.requests[connection].partition(b" ")[2]
            connection.sendall(HEAD + self._body_for(path, connection) + b"\n")
            self._drop(connection)

    def _body_for(self, path, connection):
        if path.startswith(b"/client"):
            return connection.getpeername()[0].removeprefix("::ffff:").encode()
        return b"x" * 60000 if path.startswith(b"/large") else self.name

    def _serve_echo(self, connection):
        piece = connection.recv(4096)
        if piece:
            connection.sendall(piece)
        else:
            self._drop(connection)

    def _drop(self, connection):
        self.requests.pop(connection, None)
        self.echoes.discard(connection)
        self.waiting.unregister(connection)
        del self.sockets[connection.fileno()]
        connection.close()


class SctpServer:
    """Sends its name to each that connects."""

    def __init__(self, name, port):
        self.name = name.encode()
        self.listeners = (socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP),)
        self.listeners[0].bind(("0.0.0.0", port))
        self.listeners[0].listen(16)

    def close(self):
        self.listeners[0].close()

    def run(self):
        while True:
            connection, _ = self.listeners[0].accept()
            connection.sendall(self.name + b"\n")
            connection.close()
