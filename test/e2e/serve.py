#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
#
# What runs in a pod of the lab: answers its own name.
#
#   serve.py NAME READY-FILE [HTTP-PORT]
#
#   TCP 80 (or HTTP-PORT)   HTTP: the name, at /client the client's address as the pod sees it, at /large 60 KB; then the
#                           connection is closed
#   TCP 7                   the name as a line, then each byte comes back
#   UDP 53                  each datagram is answered by the name as a line
#
# IPv4 and IPv6. READY-FILE exists once all of them are open. On SIGTERM it does what a well-behaved server does:
# takes what has still been sent to it, and ends when nobody has asked for a moment.
#
# One thread, and nothing but what Debian's python3-minimal has.
import select
import signal
import socket
import sys

name = sys.argv[1].encode()
http_port = int(sys.argv[3]) if len(sys.argv) > 3 else 80
head = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
ending = False


def bind(kind, port):
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        listener.listen(512)
    listener.setblocking(False)
    return listener


def end(_signal, _frame):
    global ending
    ending = True


def body_for(path, connection):
    if path.startswith(b"/client"):
        return connection.getpeername()[0].removeprefix("::ffff:").encode()
    return b"x" * 60000 if path.startswith(b"/large") else name


def serve_http(connection):
    requests[connection] += connection.recv(4096) or b"\r\n\r\n"
    if b"\r\n\r\n" in requests[connection]:
        connection.sendall(head + body_for(requests[connection].partition(b" ")[2], connection) + b"\n")
        drop(connection)


def echo(connection):
    piece = connection.recv(4096)
    if piece:
        connection.sendall(piece)
    else:
        drop(connection)


def drop(connection):
    requests.pop(connection, None)
    echoes.discard(connection)
    waiting.unregister(connection)
    del sockets[connection.fileno()]
    connection.close()


def watch(opened):
    sockets[opened.fileno()] = opened
    waiting.register(opened, select.EPOLLIN)


def accept(listener):
    connection, _ = listener.accept()
    watch(connection)
    if listener is http:
        requests[connection] = b""
    else:
        echoes.add(connection)
        connection.sendall(name + b"\n")


def handle(ready):
    if ready is datagrams:
        _, client = ready.recvfrom(4096)
        ready.sendto(name + b"\n", client)
    elif ready in requests:
        serve_http(ready)
    elif ready in echoes:
        echo(ready)
    else:
        accept(ready)


signal.signal(signal.SIGTERM, end)
waiting = select.epoll()
sockets, requests, echoes = {}, {}, set()
http, echo_listener, datagrams = bind(socket.SOCK_STREAM, http_port), bind(socket.SOCK_STREAM, 7), bind(
    socket.SOCK_DGRAM, 53)
for listener in (http, echo_listener, datagrams):
    watch(listener)
open(sys.argv[2], "w").close()

while True:
    events = waiting.poll(0.3 if ending else 1)
    if ending and not events:
        break
    for number, _ in events:
        try:
            handle(sockets[number])
        except (BlockingIOError, KeyError):
            pass
        except OSError:
            if number in sockets:
                drop(sockets[number])
