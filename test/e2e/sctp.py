#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
#
# SCTP, which curl does not speak.
#
#   sctp.py serve NAME READY-FILE PORT   sends its name to each that connects; READY-FILE exists once it listens
#   sctp.py ask ADDRESS PORT             prints what comes
import socket
import sys

if sys.argv[1] == "serve":
    name, ready, port = sys.argv[2].encode(), sys.argv[3], int(sys.argv[4])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    listener.bind(("0.0.0.0", port))
    listener.listen(16)
    open(ready, "w").close()
    while True:
        connection, _ = listener.accept()
        connection.sendall(name + b"\n")
        connection.close()
else:
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    client.settimeout(5)
    client.connect((sys.argv[2], int(sys.argv[3])))
    print(client.recv(100).decode().strip())
