#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
#
# Asks a UDP server.
#
#   ask.py ADDRESS PORT [SOURCE-PORT]
#
# Each line of standard input is sent, all from one socket, so that they are one flow; the answer, or "nothing" after
# five seconds, is a line of standard output.
import socket
import sys

address, port = sys.argv[1], int(sys.argv[2])
client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
if len(sys.argv) > 3:
    client.bind(("", int(sys.argv[3])))
client.connect((address, port))
client.settimeout(5)
while question := sys.stdin.readline():
    try:
        client.send(question.encode())
        answer = client.recv(4096).decode().strip()
    except OSError:
        answer = "nothing"
    print(answer, flush=True)
