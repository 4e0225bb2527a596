# SPDX-License-Identifier: Apache-2.0
#
# A node where kube-proxy's ipvs mode ran: its virtual servers become ours, then its chains and ipsets go, and no user
# of the cluster notices. What others have beside it stays.
import os
import re
import shutil

import kube_proxy
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show, wait_until
from objects import DNS, ECHO, HTTP, affinity, dual_stack, load_balancer, pod, service

FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR, "--ipvs-sync-period", "3s")
V1 = {"set": "v1"}
PODS = ("10.244.1.11", "10.244.1.12")
PODS6 = ("[fd00:244::11]", "[fd00:244::12]")
NODE = ("203.0.113.1", "203.0.113.3", "10.244.1.1")  # all addresses of the node
VIPS = ("10.96.3.1", "10.96.3.2", "10.96.3.3", "10.96.3.4", "10.96.3.5", "192.0.2.40", "192.0.2.41", "fd00:10:96::31")
GONE = "10.96.3.99"  # of a Service that was deleted while no proxy ran


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13)
    write_pods(lab)
    lab.write("services.yaml",
              service("web", "10.96.3.1", V1, ports=[HTTP, ECHO], **dual_stack("10.96.3.1", "fd00:10:96::31")),
              service("dns", "10.96.3.2", V1, port=DNS),
              service("sticky", "10.96.3.3", V1, **affinity(10800)),
              service("port", "10.96.3.4", V1, port=ECHO, node_port=30300, type="NodePort"),
              load_balancer("lb", "10.96.3.5", V1, ["192.0.2.41"], node_port=30301, externalIPs=["192.0.2.40"]))


def write_pods(lab):
    """pod-3 is being deleted: kube-proxy gave it the weight 0, and waits for its connections."""
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12), pod("pod-3", 13, deleted_in=500, grace=600))


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


def make_kube_proxys(lab, backend):
    kube_proxy.make_device(lab.node, (*VIPS, GONE))
    kube_proxy.make_sets(lab.node, {
        "CLUSTER-IP": ["10.96.3.1,tcp:80", "10.96.3.1,tcp:7", "10.96.3.2,udp:53", "10.96.3.3,tcp:80", "10.96.3.4,tcp:7",
                       "10.96.3.5,tcp:80", "fd00:10:96::31,tcp:80", "fd00:10:96::31,tcp:7"],
        "EXTERNAL-IP": ["192.0.2.40,tcp:80"],
        "LOAD-BALANCER": ["192.0.2.41,tcp:80"],
        "NODE-PORT-TCP": ["30300", "30301"],
        "LOOP-BACK": [f"{each.strip('[]')},{port},{each.strip('[]')}" for each in (*PODS, *PODS6)
                      for port in ("tcp:80", "tcp:7", "udp:53")],
        "IPVS-IPS": VIPS})
    kube_proxy.make_chains(lab.node, backend)
    make_servers(lab.node)


def make_servers(node):
    at = lambda port, pods=PODS: [f"{each}:{port}" for each in pods]
    make = kube_proxy.make_server
    make(node, "TCP", "10.96.3.1:80", *at(80))
    make(node, "TCP", "10.96.3.1:7", *at(7), "10.244.1.13:7")
    make(node, "TCP", "[fd00:10:96::31]:80", *at(80, PODS6))
    make(node, "TCP", "[fd00:10:96::31]:7", *at(7, PODS6))
    make(node, "UDP", "10.96.3.2:53", *at(53))
    make(node, "TCP", "10.96.3.3:80", *at(80), affinity=10800)
    make(node, "TCP", "10.96.3.4:7", *at(7))
    make(node, "TCP", "10.96.3.5:80", *at(80))
    # What changed while no proxy ran: pod-9 is gone, and pod-2 is new.
    make(node, "TCP", "192.0.2.40:80", "10.244.1.11:80", "10.244.1.99:80")
    make(node, "TCP", "192.0.2.41:80", *at(80))
    for address in NODE:
        make(node, "TCP", f"{address}:30300", *at(7))
        make(node, "TCP", f"{address}:30301", "10.244.1.11:80")
    make(node, "TCP", f"{GONE}:80", "10.244.1.99:80")


class Clients:
    """They began while kube-proxy ran."""

    def __init__(self, lab):
        self.lab = lab
        self.draining = self._connect_to_pod_3()
        lab.node.run("ipvsadm", "-e", "-t", "10.96.3.1:7", "-r", "10.244.1.13:7", "-m", "-w", "0")
        self.sticky = lab.outside.one_pod("http://10.96.3.3", 3)
        self.loads = {"connections": (lab["pod-1"], "10.96.3.1", 7), "connections6": (lab["pod-1"], "fd00:10:96::31", 7),
                      "node-port": (lab.outside, NODE[0], 30300), "datagrams": (lab["pod-2"], "10.96.3.2", 53),
                      "datagrams-outside": (lab.outside, "10.96.3.2", 53)}
        for name, (place, address, port) in self.loads.items():
            place.start_load(name, "datagrams" if name.startswith("datagrams") else "connections", address, port, 2)
        lab.outside.start_load("requests", "requests", "192.0.2.41", 80, 1)

    def _connect_to_pod_3(self):
        for _ in range(6):
            connection = self.lab["pod-2"].connect("10.96.3.1", 7)
            if connection.server == "pod-3":
                return connection
        raise AssertionError("no connection led to pod-3")

    def check(self):
        for name in (*self.loads, "requests"):
            result = self.lab.stop_load(name)
            show(f"{name}: {result}")
            assert result["failed"] == 0 and result["total"] > 10, (name, result)
        assert self.draining.works(), "the connection to the draining pod-3 broke"
        assert self.lab.weights("TCP 10.96.3.1:7").get("10.244.1.13:7") == 0
        answers = self.lab.outside.tally("http://10.96.3.3", 4)
        assert set(answers) == {self.sticky}, f"{answers}, before only {self.sticky}"


def is_ours(lab):
    assert not kube_proxy.names_left(lab.node, "nft") + kube_proxy.names_left(lab.node, "legacy")
    for server, port in (("10.96.3.1", 80), ("192.0.2.40", 80), ("192.0.2.41", 80), (NODE[0], 30301), (NODE[1], 30301)):
        assert lab.leads_to(f"TCP {server}:{port}", *(f"{each}:80" for each in PODS)), (server, lab.ipvs_table())
    assert not lab.has_server(f"TCP {GONE}:80") and not lab.has_address(GONE)
    assert lab.agent.metric("kube_ipvs_foreign_virtual_servers") == 0
    assert lab.agent.metric("kube_ipvs_kube_proxy_chains") == lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 0


def everything(lab):
    """Virtual servers, addresses, chains and ipsets, line by line."""
    servers = sorted(lab.node.run("ipvsadm", "-Sn").splitlines())
    addresses = re.findall(r"inet6? (?!fe80)\S+", lab.addresses())
    return [*servers, *addresses, *saved(lab, "nft"), *saved(lab, "legacy")]


def our_table(lab):
    return re.sub(r"packets \d+ bytes \d+", "", lab.node.run("nft", "list", "table", "inet", "kube-ipvs")).splitlines()


def say_who_made_it():
    has_one = os.path.exists(f"{os.environ.get('KUBEBUILDER_ASSETS', '')}/kube-proxy")
    show("what kube-proxy leaves is made by hand:", "the one in KUBEBUILDER_ASSETS is not used yet" if has_one
         else "KUBEBUILDER_ASSETS has no kube-proxy")


def take_over(lab, backend):
    say_who_made_it()
    forget(lab)
    write_pods(lab)
    make_others(lab, backend)
    others = saved(lab, backend)
    make_kube_proxys(lab, backend)
    clients = Clients(lab)
    lab.agent.restart(*FLAGS)
    wait_until("the ipsets are deleted", 30, lambda: lab.agent.logged("kube-proxy's ipsets: deleted .*KUBE-LOOP-BACK"))
    wait_until("all of kube-proxy's is gone", 20, lambda: is_ours(lab) is None)
    clients.check()
    now = saved(lab, backend)
    assert now == others, f"{set(others) ^ set(now)}"
    lines = [line for line in lab.agent.log_text().splitlines() if "kube-proxy" in line]
    for line in lines:
        show(line[line.find("kube-proxy"):][:200])
    before = everything(lab), our_table(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.finish_pass()
    for was, now in zip(before, (everything(lab), our_table(lab))):
        assert was == now, set(was) ^ set(now)
    assert not lab.agent.logged("taken over|: deleted KUBE-")
    assert lab.agent.logged("table complete")


def forget(lab):
    """Nothing is left of anybody, of an earlier test neither."""
    lab.close_connections()
    for name in list(lab.processes):
        if name.startswith("load-") or name == "kube-proxy":
            lab.kill(name)
    lab.agent.stop()
    lab.agent.cleanup()
    for tool in ("iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"):
        lab.node.run(f"{tool}-restore", input=EMPTY)
    lab.node.run("nft", "flush", "ruleset")
    lab.node.run("ipset", "destroy")
    lab.node.run("ipvsadm", "-C")


EMPTY = "".join(f"*{table}\nCOMMIT\n" for table in ("nat", "filter", "mangle"))


def case_where_ip_set_is_not_loaded_the_agent_does_not_load_it(lab):
    assert not os.path.exists("/sys/module/ip_set"), "no test before this one uses ipset"
    lab.agent.restart(*FLAGS)
    wait_until("it has looked", 10, lambda: lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 0)
    assert not os.path.exists("/sys/module/ip_set")


def case_a_node_of_kube_proxy_with_iptables_nft_is_taken_over_and_no_client_notices(lab):
    take_over(lab, "nft")


def case_a_node_of_kube_proxy_with_iptables_legacy_is_taken_over_and_no_client_notices(lab):
    take_over(lab, "legacy")


def case_with_takeover_report_nothing_of_kube_proxy_is_changed_and_all_of_it_reported(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    before = everything(lab)
    lab.agent.restart(*FLAGS, "--takeover=report")
    for pattern in ("web: TCP 10.96.3.1:80 is taken by a virtual server that kube-proxy left .--takeover=auto",
                    "kube-proxy has left chains in ip nat: ", "kube-proxy has left chains in ip6 filter: ",
                    "kube-proxy has left ipsets: KUBE-6-CLUSTER-IP, "):
        wait_until(f"it reports: {pattern}", 10, lambda: lab.agent.logged(pattern))
    now = everything(lab)
    assert now == before, set(now) ^ set(before)
    for address in (*VIPS, GONE):
        assert lab.has_address(address), address
    assert lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 34
    assert lab.agent.metric("kube_ipvs_kube_proxy_chains") > 20


def case_with_takeover_off_nothing_is_said_but_in_metrics(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    lab.agent.restart(*FLAGS, "--takeover=off")
    wait_until("metrics count ipsets", 10, lambda: lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 34)
    assert not lab.agent.logged("kube-proxy has left")
    assert lab.has_address(GONE)


def case_while_a_kube_proxy_runs_it_is_named_and_its_chains_stay_until_it_ends(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    program = f"{lab.directory}/kube-proxy"
    shutil.copy("/bin/sleep", program)
    lab.start("kube-proxy", lab.node, f"{lab.directory}/kube-proxy.log", program, "1000")
    pid = lab.processes["kube-proxy"]
    lab.agent.restart(*FLAGS)
    wait_until("it is named", 10, lambda: lab.agent.logged(f"runs beside this agent .process {pid}: .*kube-proxy 1000"))
    assert lab.agent.metric("kube_ipvs_kube_proxy_running") == 1
    assert kube_proxy.names_left(lab.node, "nft")
    lab.stop("kube-proxy")
    wait_until("it is gone", 60, lambda: lab.agent.logged("kube-proxy does not seem to run here any more"))
    wait_until("all of kube-proxy's is gone", 20, lambda: is_ours(lab) is None)
    assert lab.agent.times_logged("runs beside this agent") == 1


IPTABLES_MODE = """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-EXT-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-SEP-ABCDEFGHIJKLMNOP - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.3.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m tcp --dport 30301 -j KUBE-EXT-ABCDEFGHIJKLMNOP
-A KUBE-EXT-ABCDEFGHIJKLMNOP -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SVC-ABCDEFGHIJKLMNOP -j KUBE-SEP-ABCDEFGHIJKLMNOP
-A KUBE-SEP-ABCDEFGHIJKLMNOP -s 10.244.1.99/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-ABCDEFGHIJKLMNOP -p tcp -m tcp -j DNAT --to-destination 10.244.1.99:80
COMMIT
"""


def case_what_the_iptables_and_nftables_modes_left_is_deleted_too(lab):
    forget(lab)
    for backend in ("nft", "legacy"):
        lab.node.run(f"iptables-{backend}-restore", "--noflush", input=IPTABLES_MODE)
    for family in ("ip", "ip6"):
        lab.node.run("nft", "-f", "-", input=f"""
table {family} kube-proxy {{
  map service-ips {{ type inet_service : verdict; elements = {{ 80 : goto service-web }} }}
  chain service-web {{ counter drop; }}
  chain services {{ tcp dport vmap @service-ips; }}
  chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
}}
""")
    lab.agent.restart(*FLAGS)
    for table in ("ip nat", "iptables-legacy nat", "ip kube-proxy", "ip6 kube-proxy"):
        wait_until(f"{table} is cleared", 20, lambda: lab.agent.logged(f"kube-proxy's chains in {table}: deleted "))
    assert "kube-proxy" not in lab.node.run("nft", "list", "tables")
    for backend in ("nft", "legacy"):
        assert "KUBE-" not in lab.node.run(f"iptables-{backend}-save"), backend
    assert lab["pod-1"].get("http://10.96.3.1").startswith("pod-")


def case_where_a_forward_chain_drops_kube_forward_stays_until_another_rule_accepts(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    lab.node.run("iptables-nft", "-P", "FORWARD", "DROP")
    lab.agent.restart(*FLAGS)
    wait_until("it is reported", 20, lambda: lab.agent.logged("ip filter KUBE-FORWARD stays: .*--forward-accept"))
    assert lab.outside.get(f"http://{NODE[0]}:30301").startswith("pod-")
    lab.agent.restart(*FLAGS, "--forward-accept")
    wait_until("it is deleted", 20, lambda: lab.agent.logged("chains in ip filter: deleted KUBE-FORWARD"))
    assert lab.outside.get(f"http://{NODE[0]}:30301").startswith("pod-")
    lab.node.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
