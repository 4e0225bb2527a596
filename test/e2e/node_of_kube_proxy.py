# SPDX-License-Identifier: Apache-2.0
#
# A node where kube-proxy's ipvs mode ran: Services of every kind, what kube-proxy made for them and what others have
# beside it, and clients that began while it ran. For the scenarios `takeover` and `handback`.
import os
import re

import kube_proxy
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show
from objects import DNS, ECHO, HTTP, affinity, dual_stack, load_balancer, pod, service

FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR, "--ipvs-sync-period", "3s")
V1 = {"set": "v1"}
PODS = ("10.244.1.11", "10.244.1.12")
PODS6 = ("[fd00:244::11]", "[fd00:244::12]")
NODE = ("203.0.113.1", "203.0.113.3", "10.244.1.1")  # all addresses of the node
NODE6 = ("[fd00:203::1]", "[fd00:244::1]")
VIPS = ("10.96.3.1", "10.96.3.2", "10.96.3.3", "10.96.3.4", "10.96.3.5", "192.0.2.40", "192.0.2.41",
        "fd00:10:96::31", "fd00:10:96::34", "fd00:10:96::35", "fd00:192::41")
RANGES = ("203.0.113.0/24", "10.244.0.0/16", "fd00:203::/64", "fd00:244::/32")  # loadBalancerSourceRanges of `lb`
GONE = "10.96.3.99"  # of a Service that was deleted while no proxy ran


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13)
    write_pods(lab)
    lab.write("services.yaml",
              service("web", "10.96.3.1", V1, ports=[HTTP, ECHO], **dual_stack("10.96.3.1", "fd00:10:96::31")),
              service("dns", "10.96.3.2", V1, port=DNS),
              service("sticky", "10.96.3.3", V1, **affinity(10800)),
              service("port", "10.96.3.4", V1, port=ECHO, node_port=30300, type="NodePort",
                      **dual_stack("10.96.3.4", "fd00:10:96::34")),
              load_balancer("lb", "10.96.3.5", V1, ["192.0.2.41", "fd00:192::41"],
                            ports=[{**HTTP, "nodePort": 30301}, {**ECHO, "nodePort": 30302}],
                            externalIPs=["192.0.2.40"], loadBalancerSourceRanges=[*RANGES], **dual_stack("10.96.3.5", "fd00:10:96::35")))


def write_pods(lab):
    """pod-3 is being deleted: kube-proxy gave it the weight 0, and waits for its connections."""
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12), pod("pod-3", 13, deleted_in=500, grace=600))


# What kube-proxy makes for these Services.


def wanted_servers():
    """{"TCP 10.96.3.1:80": (["10.244.1.11:80", "10.244.1.12:80"], None)}; the number is of session affinity."""
    servers = {}

    def add(protocol, port, target, *addresses, seconds=None):
        for address in addresses:
            pods = PODS6 if ":" in address else PODS
            servers[f"{protocol} {address}:{port}"] = ([f"{each}:{target}" for each in pods], seconds)

    add("TCP", 80, 80, "10.96.3.1", "[fd00:10:96::31]")
    add("TCP", 7, 7, "10.96.3.1", "[fd00:10:96::31]")
    add("UDP", 53, 53, "10.96.3.2")
    add("TCP", 80, 80, "10.96.3.3", seconds=10800)
    add("TCP", 7, 7, "10.96.3.4", "[fd00:10:96::34]")
    for port in (80, 7):
        add("TCP", port, port, "10.96.3.5", "[fd00:10:96::35]", "192.0.2.40", "192.0.2.41", "[fd00:192::41]")
    add("TCP", 30300, 7, *NODE, *NODE6)
    add("TCP", 30301, 80, *NODE, *NODE6)
    add("TCP", 30302, 7, *NODE, *NODE6)
    return servers


def set_entries():
    both = ("tcp:80", "tcp:7")
    balanced = [f"{each},{port}" for each in ("192.0.2.41", "fd00:192::41") for port in both]
    return {
        "CLUSTER-IP": ["10.96.3.2,udp:53", "10.96.3.3,tcp:80", "10.96.3.4,tcp:7", "fd00:10:96::34,tcp:7",
                       *(f"{each},{port}" for each in ("10.96.3.1", "fd00:10:96::31", "10.96.3.5", "fd00:10:96::35")
                         for port in both)],
        "EXTERNAL-IP": [f"192.0.2.40,{port}" for port in both],
        "LOAD-BALANCER": balanced,
        "LOAD-BALANCER-FW": balanced,
        "LOAD-BALANCER-SOURCE-CIDR": [f"{each},{network}" for each in balanced for network in RANGES
                                      if (":" in network) == each.startswith("fd00")],
        # The node's own addresses are in the ranges.
        "LOAD-BALANCER-SOURCE-IP": [f"{each},{each.partition(',')[0]}" for each in balanced],
        "NODE-PORT-TCP": ["30300", "30301", "30302"],
        "LOOP-BACK": [f"{each.strip('[]')},{port},{each.strip('[]')}" for each in (*PODS, *PODS6)
                      for port in (*both, "udp:53")],
        "IPVS-IPS": VIPS}


def make_rules(lab, backend):
    """Its ipsets and chains."""
    kube_proxy.make_sets(lab.node, set_entries())
    kube_proxy.make_chains(lab.node, backend)


def make_kube_proxys(lab, backend):
    kube_proxy.make_device(lab.node, (*VIPS, GONE))
    make_rules(lab, backend)
    servers = wanted_servers()
    servers["TCP 10.96.3.1:7"][0].append("10.244.1.13:7")
    # What changed while no proxy ran: pod-9 is gone, and pod-2 is new.
    servers["TCP 192.0.2.40:80"] = (["10.244.1.11:80", "10.244.1.99:80"], None)
    servers.update({f"TCP {address}:30301": (["10.244.1.11:80"], None) for address in NODE})
    servers[f"TCP {GONE}:80"] = (["10.244.1.99:80"], None)
    kube_proxy.make_servers(lab.node, servers)


def kube_proxy_starts(lab):
    """Its first pass over virtual servers and addresses: what it changed. pod-3 drains, and is none of its endpoints."""
    return kube_proxy.first_pass(lab.node, wanted_servers(), VIPS)


# What others have.

OTHERS = """\
*nat
:DOCKER - [0:0]
:KUBE-MARK-DROP - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A KUBE-MARK-DROP -j MARK --or-mark 0x8000
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
:KUBE-POD-FW-ABCDEF - [0:0]
:KUBE-ROUTER-FORWARD - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment "kube-router netpol" -j KUBE-ROUTER-FORWARD
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
-A KUBE-POD-FW-ABCDEF -m set --match-set KUBE-SRC-ABCDEF src -j ACCEPT
COMMIT
*mangle
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
"""
OTHER_SETS = ("KUBE-SRC-ABCDEF", "KUBE-DST-ABCDEF", "cali40all-hosts-net", "docker-ingress")


def make_others(lab, backend):
    """The kubelet's, Docker's, kube-router's and Calico's."""
    for name in OTHER_SETS:
        lab.node.run("ipset", "create", name, "hash:ip")
    lab.node.run(f"iptables-{backend}-restore", "--noflush", input=OTHERS)


EMPTY = "".join(f"*{table}\nCOMMIT\n" for table in ("nat", "filter", "mangle"))


def forget(lab):
    """Nothing is left of anybody, of an earlier test neither."""
    lab.close_connections()
    for name in list(lab.processes):
        if name.startswith("load-") or name == "kube-proxy":
            lab.kill(name)
    lab.agent.stop()
    # Whose it is does not matter here.
    for tool in ("iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"):
        lab.node.run(f"{tool}-restore", input=EMPTY)
    lab.node.run("ipset", "destroy")
    lab.agent.cleanup()
    lab.node.run("nft", "flush", "ruleset")
    lab.node.run("ipvsadm", "-C")
    if lab.has_device():
        lab.node.ip("link delete kube-ipvs0")


# What there is, line by line.


def saved(lab, backend):
    """Chains and rules, but for built-in chains, and the names of the ipsets."""
    lines = []
    for tool in ("iptables", "ip6tables"):
        table = ""
        for line in lab.node.run(f"{tool}-{backend}-save").splitlines():
            if line.startswith("*"):
                table = line
            elif line.startswith("-A") or re.match(":.* - ", line):
                lines.append(f"{tool} {table} {line.partition(' [')[0] if line[0] == ':' else line}")
    return lines + sorted(lab.node.run("ipset", "list", "-n").split())


def everything(lab):
    """Virtual servers, addresses, chains and ipsets."""
    servers = sorted(lab.node.run("ipvsadm", "-Sn").splitlines())
    addresses = re.findall(r"inet6? (?!fe80)\S+", lab.addresses())
    return [*servers, *addresses, *saved(lab, "nft"), *saved(lab, "legacy")]


def our_table(lab):
    return re.sub(r"packets \d+ bytes \d+", "", lab.node.run("nft", "list", "table", "inet", "kube-ipvs")).splitlines()


def is_ours(lab):
    assert not kube_proxy.names_left(lab.node, "nft") + kube_proxy.names_left(lab.node, "legacy")
    for server, port in (("10.96.3.1", 80), ("192.0.2.40", 80), ("192.0.2.41", 80), (NODE[0], 30301), (NODE[1], 30301)):
        assert lab.leads_to(f"TCP {server}:{port}", *(f"{each}:80" for each in PODS)), (server, lab.ipvs_table())
    assert not lab.has_server(f"TCP {GONE}:80") and not lab.has_address(GONE)
    assert lab.agent.metric("kube_ipvs_foreign_virtual_servers") == 0
    assert lab.agent.metric("kube_ipvs_kube_proxy_chains") == lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 0
    return True


def say_who_made_it():
    show("what kube-proxy leaves is made by hand; with a real one: real_kube_proxy")


def no_exchange_lost(lab, loads):
    """Ends the loads of these names: none lost an exchange."""
    total = 0
    for name in loads:
        result = lab.stop_load(name)
        show(f"{name}: {result}")
        assert result["failed"] == 0 and result["total"] > 10, (name, result)
        total += result["total"]
    show(f"0 of {total} exchanges lost")


class Clients:
    """They began while kube-proxy ran: a connection, a flow or a series of requests each, and one that drains."""

    def __init__(self, lab):
        self.lab = lab
        self.draining = self._connect_to_pod_3()
        lab.node.run("ipvsadm", "-e", "-t", "10.96.3.1:7", "-r", "10.244.1.13:7", "-m", "-w", "0")
        self.sticky = lab.outside.one_pod("http://10.96.3.3", 3)
        self.loads = {}
        pod_1 = lab["pod-1"]
        for kind, address, address6, port in (("cluster-ip", "10.96.3.1", "fd00:10:96::31", 7),
                                              ("node-port", NODE[0], NODE6[0].strip("[]"), 30300),
                                              ("load-balancer", "192.0.2.41", "fd00:192::41", 7)):
            self.loads[f"{kind}-pod"] = pod_1, "connections", address, port
            self.loads[f"{kind}-pod-v6"] = pod_1, "connections", address6, port
            self.loads[f"{kind}-outside"] = lab.outside, "connections", address, port
            self.loads[f"{kind}-outside-v6"] = lab.outside, "connections", address6, port
        self.loads["external-ip-outside"] = lab.outside, "connections", "192.0.2.40", 7
        self.loads["udp-pod"] = lab["pod-2"], "datagrams", "10.96.3.2", 53
        self.loads["udp-outside"] = lab.outside, "datagrams", "10.96.3.2", 53
        self.loads["requests-outside"] = lab.outside, "requests", "192.0.2.41", 80
        for name, (place, kind, address, port) in self.loads.items():
            place.start_load(name, kind, address, port, 1)

    def _connect_to_pod_3(self):
        for _ in range(6):
            connection = self.lab["pod-2"].connect("10.96.3.1", 7)
            if connection.server == "pod-3":
                return connection
        raise AssertionError("no connection led to pod-3")

    def check(self):
        no_exchange_lost(self.lab, self.loads)
        self.check_draining_and_affinity()

    def check_draining_and_affinity(self):
        assert self.draining.works(), "the connection to the draining pod-3 broke"
        assert self.lab.weights("TCP 10.96.3.1:7").get("10.244.1.13:7") == 0
        answers = self.lab.outside.tally("http://10.96.3.3", 4)
        assert set(answers) == {self.sticky}, f"{answers}, before only {self.sticky}"
