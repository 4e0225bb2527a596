#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
#
# One TCP connection to an echo server (serve.py's port 7), and how it fares.
#
#   talk.py ADDRESS PORT
#
# The first line of standard output is the server's name. Then each line of standard input is sent, and what comes back
# is a line, or "nothing" after five seconds or when the connection is broken. At the end of input the connection is
# reset: so IPVS forgets it after ten seconds, and not after minutes.
#
# Nothing but what Debian's python3-minimal has.
import socket
import struct
import sys

address, port = sys.argv[1], int(sys.argv[2])
connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
connection.settimeout(5)


def line():
    text = b""
    while not text.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            raise OSError("closed")
        text += piece
    return text.decode().strip()


def exchange(words):
    try:
        connection.sendall(words.encode())
        return line()
    except OSError:
        return "nothing"


connection.connect((address, port))
print(line(), flush=True)
while words := sys.stdin.readline():
    print(exchange(words), flush=True)
connection.close()
