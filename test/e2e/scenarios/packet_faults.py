# SPDX-License-Identifier: Apache-2.0
#
# Packets that real nodes have and tests seldom: the host's own, those that others mark, those outside the window, those
# larger than the MTU. The letter and number in brackets of a test's name stand for what went wrong before.
import socket
import struct
import time

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show, wait_until
from objects import DNS, ECHO, HTTP, dual_stack, load_balancer, pod, service

V1 = {"set": "v1"}


def group_up(lab):
    lab.add_worker()
    lab.add_pods(first=11, second=12, remote="2.21")
    lab.write("pods.yaml", pod("first", 11), pod("second", 12, {"set": "second"}), pod("remote", "2.21", {"set": "remote"}))
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)


def host_pod():
    """A pod with the node's network."""
    result = pod("host", 99, {"set": "host"})
    result["spec"]["hostNetwork"] = True
    result["status"] = {"podIP": "203.0.113.1", "podIPs": [{"ip": "203.0.113.1"}, {"ip": "fd00:203::1"}]}
    return result


def as_seen(place, source, destination, port):
    """A connection inside the place: the client's address and port as it has them, and as the server sees them."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with place.namespace, socket.socket(family) as listener, socket.socket(family) as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((destination, port))
        listener.listen()
        client.settimeout(5)
        client.bind((source, 0))
        client.connect((destination, port))
        connection, seen = listener.accept()
        connection.close()
        return client.getsockname()[:2], seen[:2]


def case_the_host_with_an_endpoint_of_its_own_talks_to_itself_unchanged_e1(lab):
    lab.write("case.yaml", host_pod(), service("host", "10.96.9.1", {"set": "host"}, port={**HTTP, "targetPort": 80},
                                               node_port=30191, type="NodePort", externalIPs=["192.0.2.191"],
                                               **dual_stack("10.96.9.1", "fd00:10:96::91")))
    lab.served("192.0.2.191", 80, "203.0.113.1:80")
    for source, destination in (("203.0.113.1", "203.0.113.1"), ("203.0.113.3", "203.0.113.1"),
                                ("203.0.113.1", "203.0.113.3"), ("fd00:203::1", "fd00:203::1")):
        for port in (80, 8099):
            own, seen = as_seen(lab.node, source, destination, port)
            show(f"{own} to {destination}:{port} is seen as {seen}")
            assert own == seen
    # Through the Service it is answered still.
    lab.serve("host-server", lab.node)
    for url in ("http://10.96.9.1", "http://[fd00:10:96::91]", "http://203.0.113.1:30191", "http://192.0.2.191"):
        lab.node.reaches(url, "host-server")
    lab.stop("host-server")


# A pod asks itself by its own address: no Service, so it is not seen as the node.
def case_a_pod_that_asks_the_node_itself_keeps_its_address_e1(lab):
    lab.write("case.yaml", host_pod(), service("host", "10.96.9.1", {"set": "host"}, port={**HTTP, "targetPort": 80}))
    lab.served("10.96.9.1", 80, "203.0.113.1:80")
    lab.serve("host-server", lab.node)
    lab["first"].seen_as("http://203.0.113.1", "10.244.1.11")
    lab.stop("host-server")


SAVE_MARKS = """\
table inet uplinks {
  chain pre { type filter hook prerouting priority -150; meta mark set ct mark; }
  chain out { type route hook output priority -150; meta mark set ct mark; }
  chain post { type filter hook postrouting priority -150; ct mark set meta mark; }
}
"""
CLEAR_MARKS = """\
table inet uplinks {
  chain pre { type filter hook prerouting priority -90; ct mark set 0; meta mark set 0; }
  chain out { type filter hook output priority -90; ct mark set 0; }
  chain in { type filter hook input priority 95; ct mark set 0; meta mark set 0; }
  chain post { type filter hook postrouting priority 90; ct mark set 0; }
}
"""
SET_MARKS = """\
table inet uplinks {
  chain pre { type filter hook prerouting priority -150; ct mark set 0xffff0f00; meta mark set 0x4000; }
  chain out { type filter hook output priority -150; ct mark set 0xffffffff; }
  chain post { type filter hook postrouting priority -150; ct mark set 0xffffffff; }
}
"""


def case_what_others_do_with_marks_changes_nothing_e5(lab):
    ports = {"type": "NodePort", "node_port": 30195, "externalIPs": ["192.0.2.195"]}
    lab.write("case.yaml",
              service("far", "10.96.9.5", {"set": "remote"}, **ports),
              load_balancer("mixed", "10.96.9.6", {"set": "remote"}, ["192.0.2.196"], node_port=30196,
                            externalTrafficPolicy="Local"),
              service("itself", "10.96.9.7", {"pod": "first"}, node_port=30197, type="NodePort"))
    lab.served("10.96.9.7", 80, "10.244.1.11:80")
    lab.served("192.0.2.195", 80, "10.244.2.21:80")
    for rules in (SAVE_MARKS, CLEAR_MARKS, SET_MARKS):
        lab.node.run("nft", "-f", "-", input=rules)
        for url in ("http://203.0.113.1:30195", "http://192.0.2.195"):
            lab.outside.seen_as(url, "172.20.0.1")
            lab["first"].seen_as(url, "172.20.0.1")
        lab["first"].seen_as("http://10.96.9.5", "10.244.1.11")
        for url in ("http://10.96.9.5", "http://192.0.2.196", "http://203.0.113.1:30196"):
            lab.node.seen_as(url, "172.20.0.1")
        for url in ("http://10.96.9.7", "http://203.0.113.1:30197"):
            lab["first"].reaches(url, "first")
        lab.node.run("nft", "delete", "table", "inet", "uplinks")


# --- segments outside the window

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
OUTSIDE = 2000000


def numbers(connection):
    """The next sequence numbers: (of what it sends, of what it receives)."""
    result = []
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    for queue in (2, 1):
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        result.append(connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xffffffff)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)
    return result


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def send_segment(place, source, destination, sequence, acknowledged):
    """One byte, from an (address, port) to another."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    addresses = socket.inet_pton(family, source[0]) + socket.inet_pton(family, destination[0])

    def segment(check):
        return struct.pack("!HHIIBBHHH", source[1], destination[1], sequence & 0xffffffff, acknowledged, 5 << 4, 0x18,
                           500, check, 0) + b"x"

    length = len(segment(0))
    check = checksum(addresses + struct.pack("!II", length, socket.IPPROTO_TCP) + segment(0) + b"\0")
    with place.namespace, socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((source[0], 0))
        try:
            raw.sendto(segment(check), (destination[0], 0))
        except PermissionError:  # the host's own, which is dropped before it leaves
            pass


def peer_of(place, port):
    """Who is connected to this port of the pod: (address, port)."""
    peers = []
    for line in place.run("ss", "-Htn", "state", "established", f"( sport = :{port} )").splitlines():
        address, _, number = line.split()[3].rpartition(":")
        peers.append((address.strip("[]").removeprefix("::ffff:"), int(number)))
    assert len(peers) == 1, peers
    return peers[0]


def survives(lab, client, address, port, pod_name, pod_address):
    """Both sides send a byte outside the window, and the connection goes on."""
    connection = lab[client].connect(address, port)
    assert connection.server == pod_name
    send, receive = numbers(connection.socket)
    own = connection.socket.getsockname()[:2]
    peer = peer_of(lab[pod_name], 7)
    show(f"{client} {own} to {address}:{port} is seen as {peer}")
    send_segment(lab[client], own, (address, port), send + OUTSIDE, receive)
    assert connection.works(3), "after a segment of the client's"
    send, receive = numbers(connection.socket)
    send_segment(lab[pod_name], (pod_address, 7), peer, receive + OUTSIDE, send)
    time.sleep(0.1)
    assert connection.works(3), "after a segment of the pod's"
    connection.close()
    wait_until("the pod forgets the connection", 10,
               lambda: not lab[pod_name].run("ss", "-Htn", "state", "established", "( sport = :7 )"))


def case_a_connection_survives_segments_outside_the_window_e2(lab):
    for number, (name, pod_name, node_port) in enumerate((("here", "first", 30121), ("there", "remote", 30122))):
        lab.write(f"case{name}.yaml",
                  load_balancer(name, f"10.96.9.2{number}", {"pod": pod_name},
                                [f"192.0.2.2{number}", f"fd00:192::2{number}"], port=ECHO, node_port=node_port,
                                **dual_stack(f"10.96.9.2{number}", f"fd00:10:96::2{number}")))
    lab.served("[fd00:192::20]", 7, "[fd00:244::11]:7")
    lab.served("[fd00:192::21]", 7, "[fd00:244:2::21]:7")
    # Masqueraded: a client outside, a pod that reaches itself, the host; and not: a pod.
    for client in ("outside", "first", "node", "second"):
        survives(lab, client, "203.0.113.1", 30121, "first", "10.244.1.11")
        survives(lab, client, "192.0.2.20", 7, "first", "10.244.1.11")
        survives(lab, client, "10.96.9.20", 7, "first", "10.244.1.11")
    survives(lab, "outside", "203.0.113.1", 30122, "remote", "10.244.2.21")
    survives(lab, "node", "10.96.9.21", 7, "remote", "10.244.2.21")
    survives(lab, "outside", "fd00:203::1", 30121, "first", "fd00:244::11")
    survives(lab, "first", "fd00:10:96::20", 7, "first", "fd00:244::11")
    survives(lab, "outside", "fd00:192::21", 7, "remote", "fd00:244:2::21")


# With --cluster-cidr, which the node's address is not in.
def case_a_connection_to_another_nodes_own_address_survives_segments_outside_the_window_e2(lab):
    there = pod("there", "2.99", {"set": "there"})
    there["spec"]["hostNetwork"] = True
    there["status"] = {"podIP": "172.20.0.2", "podIPs": [{"ip": "172.20.0.2"}, {"ip": "fd00:172::2"}]}
    lab.write("case.yaml", there,
              load_balancer("there", "10.96.9.25", {"set": "there"}, ["192.0.2.25", "fd00:192::25"], port=ECHO,
                            node_port=30125, **dual_stack("10.96.9.25", "fd00:10:96::925")))
    lab.served("192.0.2.25", 7, "172.20.0.2:7")
    lab.served("[fd00:192::25]", 7, "[fd00:172::2]:7")
    lab.serve("worker", lab["worker"])
    for client in ("outside", "first", "node"):
        survives(lab, client, "203.0.113.1", 30125, "worker", "172.20.0.2")
        survives(lab, client, "10.96.9.25", 7, "worker", "172.20.0.2")
        survives(lab, client, "fd00:192::25", 7, "worker", "fd00:172::2")
    lab.stop("worker")


def case_an_invalid_segment_to_no_service_is_answered_as_by_any_host_e2(lab):
    """A stray answer to a port of the node that has no Service: the host resets it."""
    with lab.outside.namespace, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.settimeout(5)
        raw.bind(("203.0.113.2", 0))
        stray = struct.pack("!HHIIBBHHH", 40999, 8099, 1000, 77, 5 << 4, 0x12, 500, 0, 0)
        pseudo = socket.inet_aton("203.0.113.2") + socket.inet_aton("203.0.113.1") + struct.pack("!II", len(stray), 6)
        raw.sendto(stray[:16] + struct.pack("!H", checksum(pseudo + stray)) + stray[18:], ("203.0.113.1", 0))
        while True:
            segment = raw.recv(200)[20:]
            if struct.unpack("!HH", segment[:4]) == (8099, 40999):
                break
        assert segment[13] & 0x04, segment


# --- health checks through the load balancer's address

def asked(place, url):
    return place.fetch(url, timeout=5).status


def case_a_health_check_on_the_load_balancers_address_is_answered_e4(lab):
    def write(selector, health_check=32104):
        lab.write("case.yaml", load_balancer("checked", "10.96.9.4", selector, ["192.0.2.104", "fd00:192::104"],
                                             node_port=30104, externalTrafficPolicy="Local", externalIPs=["192.0.2.204"],
                                             healthCheckNodePort=health_check, **dual_stack("10.96.9.4", "fd00:10:96::94")))

    write(V1)
    lab.served("192.0.2.104", 80, "10.244.1.11:80")
    for address in ("192.0.2.104", "[fd00:192::104]", "203.0.113.1"):
        for name in ("outside", "first", "node"):
            wait_until(f"{name} is answered 200 on {address}", 10,
                       lambda: asked(lab[name], f"http://{address}:32104") == 200)
    # On no other address of the Service, and no other port.
    for url in ("http://192.0.2.204:32104", "http://10.96.9.4:32104", "http://192.0.2.104:10256"):
        assert lab.outside.refused(url)
    write({"set": "remote"})
    for address in ("192.0.2.104", "[fd00:192::104]"):
        wait_until(f"503 on {address}", 10, lambda: asked(lab.outside, f"http://{address}:32104") == 503)
    write(V1, 32105)
    wait_until("the new port is answered", 10, lambda: asked(lab.outside, "http://192.0.2.104:32105") == 200)
    wait_until("the old port is closed", 10, lambda: lab.outside.refused("http://192.0.2.104:32104"))


# --- source ranges that shrink

def limited(lab, *ranges, policy="Local", pod_name="first"):
    fields = {"loadBalancerSourceRanges": list(ranges)} if ranges else {}
    lab.write("case.yaml", load_balancer("limited", "10.96.9.70", {"pod": pod_name}, ["192.0.2.170", "fd00:192::170"],
                                         ports=[ECHO, DNS], externalTrafficPolicy=policy, **fields,
                                         **dual_stack("10.96.9.70", "fd00:10:96::70")))


def source_ranges_shrink(lab, policy, pod_name, destination):
    limited(lab, policy=policy, pod_name=pod_name)
    lab.served("192.0.2.170", 7, destination)
    lab.served("192.0.2.170", 53, destination.replace(":7", ":53"), protocol="UDP")
    lab.outside.ip("address add 203.0.113.77/24 dev eth0")
    loser, loser6 = lab.outside.connect("192.0.2.170", 7), lab.outside.connect("fd00:192::170", 7)
    pushing = lab.outside.connect("192.0.2.170", 7)
    keeper = lab["first"].connect("192.0.2.170", 7)
    udp = lab.outside.udp_client("192.0.2.170", 53)
    assert udp.ask() == pod_name
    # Ranges where there were none; IPv6 stays open to all.
    limited(lab, "203.0.113.77/32", "10.244.0.0/16", policy=policy, pod_name=pod_name)
    wait_until("the client outside the range is cut off", 10, lambda: not loser.works(1))
    assert udp.ask() == "nothing"
    assert keeper.works() and loser6.works()
    # What the endpoint sends does not open the connection again.
    send, receive = numbers(pushing.socket)
    if policy == "Local":
        send_segment(lab[pod_name], ("10.244.1.11", 7), pushing.socket.getsockname()[:2], receive, send)
        time.sleep(0.2)
    assert not pushing.works(1)
    limited(lab, "203.0.113.0/24", "10.244.0.0/16", "fd00:203::/64", policy=policy, pod_name=pod_name)
    wait_until("the client is in the range again", 10,
               lambda: lab.outside.udp_client("192.0.2.170", 53).ask() == pod_name)
    assert keeper.works() and loser6.works()
    limited(lab, "10.244.0.0/16", "fd00:204::/64", policy=policy, pod_name=pod_name)
    wait_until("IPv6 is cut off", 10, lambda: not loser6.works(1))
    assert keeper.works()
    lab.outside.ip("address del 203.0.113.77/24 dev eth0")
    udp.close()


def case_source_ranges_that_shrink_end_open_connections_with_policy_local_e7(lab):
    source_ranges_shrink(lab, "Local", "first", "10.244.1.11:7")


def case_source_ranges_that_shrink_end_open_connections_with_policy_cluster_e7(lab):
    source_ranges_shrink(lab, "Cluster", "remote", "10.244.2.21:7")


def case_source_ranges_that_shrink_while_no_agent_runs_end_connections_e7(lab):
    limited(lab)
    lab.served("192.0.2.170", 7, "10.244.1.11:7")
    connection = lab.outside.connect("192.0.2.170", 7)
    keeper = lab["second"].connect("192.0.2.170", 7)
    lab.agent.stop()
    limited(lab, "10.244.0.0/16", "fd00:203::/64")
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)
    wait_until("the client outside the range is cut off", 10, lambda: not connection.works(1))
    assert keeper.works()


# --- datagrams larger than the MTU

def ask_large(place, address, port, size):
    """The answer to a datagram of so many bytes, or "nothing"."""
    udp = place.udp_client(address, port)
    try:
        udp.socket.settimeout(2)
        udp.socket.send(b"x" * size)
        return udp.socket.recv(4096).decode().strip()
    except OSError as error:
        return f"nothing ({error})"
    finally:
        udp.close()


def case_large_datagrams_of_the_host_reach_a_service_e3(lab):
    lab.write("case.yaml", load_balancer("large", "10.96.9.30", {"pod": "first"}, ["192.0.2.130", "fd00:192::130"],
                                         port=DNS, **dual_stack("10.96.9.30", "fd00:10:96::30")))
    # In IPv6, IPVS takes no packet of the host that is larger than the MTU, fragmented or not.
    addresses = ("10.96.9.30", "192.0.2.130")
    addresses6 = ("fd00:10:96::30", "fd00:192::130")
    for binding in ("address", "route", "address"):
        lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR, "--ipvs-sync-period", "1s", "--vip-binding", binding)
        for address in addresses:
            for size in (100, 1473, 9000, 60000):
                wait_until(f"{size} bytes to {address} are answered ({binding})", 10,
                           lambda: ask_large(lab.node, address, 53, size) == "first")
        for address in addresses6:
            wait_until(f"1400 bytes to {address} are answered ({binding})", 10,
                       lambda: ask_large(lab.node, address, 53, 1400) == "first")
        # The link to the pod becomes smaller: followed, though nobody announced it.
        lab.node.ip("link set pod11 mtu 1400")
        lab["first"].ip("link set eth0 mtu 1400")
        for address in addresses:
            wait_until(f"the MTU of {address} is followed ({binding})", 10,
                       lambda: "mtu 1400" in lab.node.run("ip", "route", "get", address))
            wait_until(f"60000 bytes to {address} are answered ({binding}, smaller)", 10,
                       lambda: ask_large(lab.node, address, 53, 60000) == "first")
        lab.node.ip("link set pod11 mtu 1500")
        lab["first"].ip("link set eth0 mtu 1500")
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)


# --- the node's own ports

def case_node_ports_among_the_nodes_own_ports_are_reported_e6(lab):
    flags = (*CLUSTER_IPS, *CLUSTER_CIDR)
    assert not lab.agent.logged("ip_local_port_range")
    lab.node.sysctl("ipv4/ip_local_port_range", "20000 60999")
    lab.agent.restart(*flags)
    assert lab.agent.logged("W.*net.ipv4.ip_local_port_range is 20000-60999 and has node ports")
    lab.node.sysctl("ipv4/ip_local_reserved_ports", "30000-32767")
    lab.agent.restart(*flags)
    assert not lab.agent.logged("ip_local_port_range")
    lab.node.sysctl("ipv4/ip_local_port_range", "32768 60999")
