# SPDX-License-Identifier: Apache-2.0
#
# A client of DNS: one query, and what came back.
import socket
import struct

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "AAAA": 28, "SRV": 33}
RCODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def _query(name, kind):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", TYPES[kind], 1)


def _name_at(message, at):
    """The name, and what follows it."""
    labels, after = [], None
    while message[at]:
        if message[at] >= 0xC0:
            after = after or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            continue
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), after or at + 1


def _data(message, kind, at, size):
    if kind in (TYPES["A"], TYPES["AAAA"]):
        return socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, message[at:at + size])
    if kind == TYPES["SRV"]:
        return f"{struct.unpack_from('>H', message, at + 4)[0]} {_name_at(message, at + 6)[0]}"
    return _name_at(message, at)[0]


def _read(message):
    identity, flags, _, answers = struct.unpack_from(">4H", message)
    assert identity == 4711 and flags & 0x8000
    at = _name_at(message, 12)[1] + 4
    found = []
    for _ in range(answers):
        at = _name_at(message, at)[1]
        kind, _, _, size = struct.unpack_from(">HHIH", message, at)
        found.append(_data(message, kind, at + 10, size))
        at += 10 + size
    return RCODES[flags & 0xF], sorted(found)


def ask(place, server, name, kind="A", tcp=False):
    """From there. The code of the answer, and the data of its records in order."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with place.namespace, socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect((server, 53))
        query = _query(name, kind)
        if not tcp:
            client.send(query)
            return _read(client.recv(65535))
        client.sendall(struct.pack(">H", len(query)) + query)
        with client.makefile("rb") as stream:
            return _read(stream.read(struct.unpack(">H", stream.read(2))[0]))
