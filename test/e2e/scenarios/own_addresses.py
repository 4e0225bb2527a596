# SPDX-License-Identifier: Apache-2.0
#
# Services on addresses of this node's own. The letter and number in brackets of a test's name stand for what went wrong
# before.
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import wait_until
from objects import dual_stack, load_balancer, pod

FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR)


def group_up(lab):
    lab.add_pods(first=11, second=12)
    lab.write("pods.yaml", pod("first", 11), pod("second", 12, {"set": "second"}))
    lab.agent.restart(*FLAGS)


# --- host ports

# What the CNI plugin portmap makes of a hostPort of the pod `second`: on every address of the host, or on one.
HOST_PORTS = """\
table inet cni_hostport {
  chain hostports { MATCH tcp dport { 80, 30180 } dnat ip to 10.244.1.12:80; }
  chain hostports6 { MATCH6 tcp dport { 80, 30180 } dnat ip6 to [fd00:244::12]:80; }
  chain pre {
    type nat hook prerouting priority dstnat;
    meta nfproto ipv4 fib daddr type local jump hostports
    meta nfproto ipv6 fib daddr type local jump hostports6
  }
  chain out {
    type nat hook output priority -100;
    meta nfproto ipv4 fib daddr type local jump hostports
    meta nfproto ipv6 fib daddr type local jump hostports6
  }
}
"""
ON_ALL = {"MATCH6": "", "MATCH": ""}
ON_ONE = {"MATCH6": "ip6 daddr fd00:203::1", "MATCH": "ip daddr 203.0.113.1"}
OWN = ("203.0.113.1", "[fd00:203::1]")


def open_host_ports(lab, where):
    rules = HOST_PORTS
    for word, match in where.items():
        rules = rules.replace(word, match)
    lab.node.run("nft", "-f", "-", input=rules)


def everybody_reaches(lab, name, *urls):
    for url in urls:
        for client in ("outside", "first", "second", "node"):
            if client == name == "second":
                continue  # a pod that reaches itself: portmap masquerades that, and the rules above do not
            lab[client].reaches(url, name)


def serve_on_own_addresses(lab, policy):
    lab.write("case.yaml", load_balancer("own", "10.96.9.60", {"pod": "first"}, ["203.0.113.1", "fd00:203::1"],
                                         node_port=30180, externalTrafficPolicy=policy,
                                         **dual_stack("10.96.9.60", "fd00:10:96::960")))
    for address in OWN:
        wait_until(f"{address} leads to the Service", 20,
                   lambda: lab.has_server(f"TCP {address}:80") and lab.has_server(f"TCP {address}:30180"))


def case_a_service_answers_on_an_own_address_whatever_host_port_is_there_b6(lab):
    for where in (ON_ALL, ON_ONE):
        open_host_ports(lab, where)
        lab.outside.reaches("http://203.0.113.1", "second")
        lab.node.reaches("http://[fd00:203::1]:30180", "second")
        for policy in ("Cluster", "Local"):
            serve_on_own_addresses(lab, policy)
            everybody_reaches(lab, "first", *[f"http://{address}{port}" for address in OWN for port in ("", ":30180")])
        lab.remove("case.yaml")
        # Its elements go after its virtual server; until then its address refuses.
        wait_until("the Service is deleted", 20, lambda: not lab.has_server("TCP 203.0.113.1:80")
                   and not lab.set_has("external-ips-4", "203.0.113.1 . tcp . 80")
                   and not lab.set_has("external-local-ips-4", "203.0.113.1 . tcp . 80"))
        lab.outside.reaches("http://203.0.113.1", "second")
        lab.node.run("nft", "delete", "table", "inet", "cni_hostport")


def case_a_host_port_is_left_alone_on_what_no_service_has_b6(lab):
    lab.agent.restart(*FLAGS, "--nodeport-addresses", "203.0.113.3/32,fd00:204::/64")
    open_host_ports(lab, ON_ALL)
    lab.write("case.yaml", load_balancer("own", "10.96.9.60", {"pod": "first"}, ["203.0.113.1", "fd00:203::1"],
                                         node_port=30180, **dual_stack("10.96.9.60", "fd00:10:96::960")))
    wait_until("203.0.113.1 leads to the Service", 20, lambda: lab.has_server("TCP 203.0.113.1:80"))
    everybody_reaches(lab, "first", "http://203.0.113.1", "http://[fd00:203::1]", "http://203.0.113.3:30180")
    # Node ports are not served there, and the load balancer does not give that address.
    everybody_reaches(lab, "second", "http://203.0.113.1:30180", "http://[fd00:203::1]:30180", "http://203.0.113.3")
    lab.node.run("nft", "delete", "table", "inet", "cni_hostport")
    lab.agent.restart(*FLAGS)


# --- health checks

def case_a_health_check_on_the_load_balancers_address_is_answered_wherever_node_ports_are_e4(lab):
    for binding in ("address", "route"):
        lab.agent.restart(*FLAGS, "--nodeport-addresses", "203.0.113.3/32,fd00:204::/64", "--vip-binding", binding)
        lab.write("case.yaml", load_balancer("checked", "10.96.9.61", {"pod": "first"}, ["192.0.2.161", "fd00:192::161"],
                                             node_port=30161, externalTrafficPolicy="Local",
                                             externalIPs=["192.0.2.162"], healthCheckNodePort=32161,
                                             **dual_stack("10.96.9.61", "fd00:10:96::961")))
        for address in ("192.0.2.161", "[fd00:192::161]", "203.0.113.3"):
            for name in ("outside", "second", "node"):
                wait_until(f"{name} is answered 200 on {address} ({binding})", 10,
                           lambda: asked(lab[name], f"http://{address}:32161") == 200)
        for address in ("203.0.113.1", "192.0.2.162", "10.96.9.61"):
            assert lab.outside.refused(f"http://{address}:32161")
        assert not lab.agent.logged("W.*Health check")
        lab.remove("case.yaml")
        wait_until("the port is closed", 10, lambda: lab.outside.refused("http://203.0.113.3:32161"))
    lab.agent.restart(*FLAGS)


def asked(place, url):
    """The status; None: no answer."""
    try:
        return place.fetch(url, timeout=5).status
    except OSError:
        return None
