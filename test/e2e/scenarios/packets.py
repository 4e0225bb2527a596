# SPDX-License-Identifier: Apache-2.0
#
# Ways of packets: pods that reach themselves, a bridge, others' rules, links with a smaller MTU.
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show, wait_until
from objects import dual_stack, load_balancer, pod, service

V1 = {"set": "v1"}


def group_up(lab):
    lab.add_bridge()
    lab.add_far_client()
    lab.add_pods(routed=11, large=12, bridged="3.31", neighbour="3.32")
    lab.write("pods.yaml", pod("routed", 11), pod("large", 12, {"set": "large"}), pod("bridged", "3.31"),
              pod("neighbour", "3.32", {"set": "neighbours"}))
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)


def mirror(lab, name, address, policy):
    """A Service of both families whose one pod is the client itself."""
    lab.write("case.yaml", load_balancer("mirror", "10.96.8.1", {"pod": name}, ["192.0.2.101", "fd00:192::101"],
                                         node_port=30101, externalTrafficPolicy=policy,
                                         **dual_stack("10.96.8.1", "fd00:10:96::81")))
    lab.served("192.0.2.101", 80, f"{address}:80")
    wait_until(f"the policy is {policy}", 10,
               lambda: lab.set_has("external-local-ips-4", "192.0.2.101") == (policy == "Local"))


def reaches_itself(lab, name, address):
    for policy in ("Cluster", "Local"):
        mirror(lab, name, address, policy)
        for url in ("http://10.96.8.1", "http://203.0.113.1:30101", "http://192.0.2.101",
                    "http://[fd00:10:96::81]", "http://[fd00:203::1]:30101", "http://[fd00:192::101]"):
            lab[name].reaches(url, name)


def case_a_pod_behind_a_routed_veth_reaches_itself_by_every_address_with_both_policies(lab):
    reaches_itself(lab, "routed", "10.244.1.11")


def case_a_pod_behind_a_bridge_reaches_itself_by_every_address_with_both_policies(lab):
    reaches_itself(lab, "bridged", "10.244.3.31")


# The answer passes the bridge, and is led back because the bridge shows it to the packet filter.
def case_a_pod_reaches_its_neighbour_on_the_bridge_and_is_seen_with_its_own_address(lab):
    mirror(lab, "bridged", "10.244.3.31", "Cluster")
    for url in ("http://10.96.8.1", "http://[fd00:10:96::81]", "http://192.0.2.101"):
        lab["neighbour"].reaches(url, "bridged")
    lab["neighbour"].seen_as("http://10.96.8.1", "10.244.3.32")


# As the CNI plugin "portmap" makes it: whatever local address is asked for this port, the pod `neighbour` has it.
HOST_PORT = """\
table ip portmap {
  chain host-ports { fib daddr type local tcp dport 80 dnat to 10.244.3.32:80; }
  chain prerouting { type nat hook prerouting priority -100; jump host-ports; }
  chain output { type nat hook output priority -100; jump host-ports; }
}
"""


def case_a_host_port_of_another_pod_does_not_take_a_virtual_ips_traffic(lab):
    lab.write("case.yaml", service("hosted", "10.96.8.2", V1, externalIPs=["192.0.2.102"]))
    lab.served("192.0.2.102", 80, "10.244.1.11:80", "10.244.3.31:80")
    lab.node.run("nft", "-f", "-", input=HOST_PORT)
    for name in ("outside", "neighbour", "node"):
        lab[name].reaches("http://10.96.8.2", "bridged", "routed")
        lab[name].reaches("http://192.0.2.102", "bridged", "routed")
    lab.outside.reaches("http://203.0.113.1", "neighbour")
    lab.node.run("nft", "delete", "table", "ip", "portmap")


LARGE_URLS = ("http://10.96.8.3", "http://192.0.2.103", "http://203.0.113.1:30103",
              "http://[fd00:10:96::83]", "http://[fd00:192::103]", "http://[fd00:203::1]:30103")


def get_large(place, url):
    """The whole answer, of many packets."""
    seen = len(place.get(f"{url}/large"))
    show(f"{place.name} to {url}: {seen} bytes")
    assert seen == 60001


def ask_large(place, url):
    """A request of more than one packet."""
    answer = place.get(url, headers={"X-Padding": "x" * 6000}).strip()
    assert answer == "large", answer


def large_with_policy(lab, policy):
    lab.write("case.yaml", load_balancer("large", "10.96.8.3", {"set": "large"}, ["192.0.2.103", "fd00:192::103"],
                                         node_port=30103, externalTrafficPolicy=policy,
                                         **dual_stack("10.96.8.3", "fd00:10:96::83")))
    lab.served("[fd00:192::103]", 80, "[fd00:244::12]:80")


def forget_path_mtu(lab):
    for name in ("node", "large", "far"):
        lab[name].sysctl("ipv4/route/flush", -1)
        lab[name].run("ip", "-6", "route", "flush", "cache")


# Only the router's end of the link is smaller: neither client nor pod knows it until ICMP says so.
def case_an_answer_too_large_for_a_link_on_the_way_to_the_client_arrives(lab):
    lab.outside.ip("link set far mtu 1300")
    for policy in ("Cluster", "Local"):
        large_with_policy(lab, policy)
        for url in LARGE_URLS:
            forget_path_mtu(lab)
            get_large(lab["far"], url)
    lab.outside.ip("link set far mtu 1500")


def case_a_request_too_large_for_the_link_to_the_pod_arrives(lab):
    large_with_policy(lab, "Cluster")
    lab.node.ip("link set pod12 mtu 1300")
    for url in LARGE_URLS:
        forget_path_mtu(lab)
        ask_large(lab["far"], url)
    forget_path_mtu(lab)
    ask_large(lab["routed"], "http://10.96.8.3")
    ask_large(lab.node, "http://10.96.8.3")
    lab.node.ip("link set pod12 mtu 1500")


def case_each_virtual_ip_answers_ping_from_everywhere(lab):
    large_with_policy(lab, "Local")
    for name in ("far", "outside", "node", "routed", "bridged"):
        for address in ("10.96.8.3", "192.0.2.103", "fd00:10:96::83", "fd00:192::103"):
            lab[name].run("ping", "-q", "-c", "1", "-W", "5", address)
