#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
#
# Loads an address until SIGTERM, then says in one line of JSON how it went.
#
#   load.py requests ADDRESS PORT [WORKERS]      short HTTP requests, a connection each, one after the other per worker
#   load.py connections ADDRESS PORT [COUNT]     long-lived connections to an echo server, a byte every 200 ms on each
#
#   {"total": 1208, "failed": 0, "slowest_ms": 18, "names": {"my-nginx-1": 403, ...}, "errors": {}}
#
# `total` counts requests, or bytes that came back; `failed` the requests that did not get an answer, or the connections
# that broke; `names` the answers, or connections, by the server's name. A connection that breaks is not opened again.
#
# When there were as many answers or failures as there are workers, it makes the empty file that LOAD_GOING names.
#
# Nothing but what Debian's python3-minimal has.
import os
import signal
import socket
import sys
import threading
import time

kPatience = 20  # seconds until an answer is a failure
kPause = 0.05  # seconds between two requests of a worker
kBytePause = 0.2  # seconds between two bytes of a connection

mode, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
workers = int(sys.argv[4]) if len(sys.argv) > 4 else 4
ending = threading.Event()
lock = threading.Lock()
total = failed = 0
slowest = 0.0
names, errors = {}, {}


def connect():
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(kPatience)
    connection.connect((address, port))
    return connection


def ask():
    with connect() as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b""
        while piece := connection.recv(4096):
            text += piece
    head, end, body = text.partition(b"\r\n\r\n")
    if not end or b" 200 " not in head:
        raise OSError("not a whole answer")
    return body.decode().strip()


def count(name, begin):
    global total, slowest
    with lock:
        total += 1
        slowest = max(slowest, time.monotonic() - begin)
        if name:
            names[name] = names.get(name, 0) + 1


def count_failure(error):
    global failed
    with lock:
        failed += 1
        errors[str(error)] = errors.get(str(error), 0) + 1


def request_again_and_again():
    while not ending.is_set():
        begin = time.monotonic()
        try:
            count(ask(), begin)
        except OSError as error:
            count(None, begin)
            count_failure(error)
        ending.wait(kPause)


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            raise OSError("closed")
        line += piece
    return line.decode().strip()


def exchange_byte(connection):
    begin = time.monotonic()
    connection.sendall(b"x")
    if connection.recv(1) != b"x":
        raise OSError("closed")
    count(None, begin)


def hold_connection():
    try:
        with connect() as connection:
            name = read_line(connection)
            with lock:
                names[name] = names.get(name, 0) + 1
            while not ending.is_set():
                exchange_byte(connection)
                ending.wait(kBytePause)
    except OSError as error:
        count_failure(error)


def quoted(table):
    return ", ".join('"%s": %d' % (key.replace('"', "'"), table[key]) for key in sorted(table))


signal.signal(signal.SIGTERM, lambda *_: ending.set())
work = {"requests": request_again_and_again, "connections": hold_connection}[mode]
threads = [threading.Thread(target=work) for _ in range(workers)]
for thread in threads:
    thread.start()
going = os.environ.get("LOAD_GOING")
while not ending.wait(0.2):  # a signal is only seen between two waits
    if going and total + failed >= workers:
        open(going, "w").close()
        going = None
for thread in threads:
    thread.join()
print('{"total": %d, "failed": %d, "slowest_ms": %d, "names": {%s}, "errors": {%s}}' % (
    total, failed, slowest * 1000, quoted(names), quoted(errors)))
