# SPDX-License-Identifier: Apache-2.0
#
# Packets that real nodes have and tests seldom: the host's own, those that others mark, those outside the window, those
# larger than the MTU. The letter and number in brackets of a test's name stand for what went wrong before.
import socket

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show
from objects import DNS, HTTP, dual_stack, load_balancer, pod, service

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
