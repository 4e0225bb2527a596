#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
#
# Asks an address that nobody serves, again and again, each time from a new port, and says in one line of JSON how it
# went.
#
#   burst.py tcp|udp ADDRESS PORT COUNT
#
#   {"refused": 200, "silent": 0, "answered": 0, "median_ms": 1, "slowest_ms": 4}
#
# Silent is what was not answered in a second, which is when TCP would ask again.
import socket
import sys
import time

kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[1]]
address, port, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
results = {"refused": 0, "silent": 0, "answered": 0}
times = []


def ask():
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as client:
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


for _ in range(count):
    begin = time.monotonic()
    results[ask()] += 1
    times.append((time.monotonic() - begin) * 1000)
times.sort()
print('{"refused": %d, "silent": %d, "answered": %d, "median_ms": %d, "slowest_ms": %d}' % (
    results["refused"], results["silent"], results["answered"], times[count // 2], times[-1]))
