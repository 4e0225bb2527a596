# SPDX-License-Identifier: Apache-2.0
#
# What the kernel holds for the network namespace that this thread is in. Read without starting any program: tests read
# it thousands of times, and in a kernel whose processor is emulated a program costs a twentieth of a second or more.
import socket
import struct


def _endpoint(text):
    """"0AF4010B:0050" is "10.244.1.11:80", "[fd00:0244:0000:...:000b]:0050" is "[fd00:244::b]:80"."""
    address, _, port = text.rpartition(":")
    if address.startswith("["):
        packed = socket.inet_pton(socket.AF_INET6, address[1:-1])
        return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"
    return f"{socket.inet_ntop(socket.AF_INET, bytes.fromhex(address))}:{int(port, 16)}"


def virtual_servers():
    """The weight of each destination of each server: {"TCP 10.96.0.1:80": {"10.244.1.11:80": 1}}.

    Source: /proc/net/ip_vs, net/netfilter/ipvs/ip_vs_ctl.c. Servers that are found by a firewall mark are left out.
    """
    servers, current = {}, {}
    with open("/proc/thread-self/net/ip_vs", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] in ("TCP", "UDP", "SCTP"):
                current = servers[f"{words[0]} {_endpoint(words[1])}"] = {}
            elif words[0] == "FWM":
                current = {}
            elif words[0] == "->" and words[1] != "RemoteAddress:Port":
                current[_endpoint(words[1])] = int(words[3])
    return servers


RTM_NEWADDR, RTM_GETADDR, NLMSG_DONE = 20, 22, 3
NLM_F_REQUEST_DUMP = 0x301
IFA_ADDRESS, IFA_LOCAL = 1, 2


def addresses_of(interface):
    """The addresses of an interface, without their prefixes; none if it does not exist.

    By netlink, as `ip address show` (include/uapi/linux/if_addr.h).
    """
    try:
        index = socket.if_nametoindex(interface)
    except OSError:
        return set()
    found = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHIIBBBBI", 24, RTM_GETADDR, NLM_F_REQUEST_DUMP, 1, 0, 0, 0, 0, 0, 0))
        while True:
            data = netlink.recv(65536)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind == NLMSG_DONE:
                    return found
                if kind == RTM_NEWADDR:
                    family, *_, of = struct.unpack_from("=BBBBI", data, 16)
                    if of == index:
                        found.add(_address(family, data[24:size]))
                data = data[(size + 3) & ~3:]


def _address(family, attributes):
    values = {}
    while attributes:
        size, kind = struct.unpack_from("=HH", attributes)
        values[kind] = attributes[4:size]
        attributes = attributes[(size + 3) & ~3:]
    return socket.inet_ntop(family, values.get(IFA_LOCAL) or values[IFA_ADDRESS])
