# SPDX-License-Identifier: Apache-2.0
#
# --vip-binding=route: virtual IPs are local by routes instead of addresses.
from agent import CLUSTER_IPS
from checks import wait_until
from objects import dual_stack, pod, service

FLAGS = (*CLUSTER_IPS, "--cluster-cidr", "10.244.0.0/16,fd00:244::/64", "--bind-address", "203.0.113.1")


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.write_common_services()
    lab.agent.restart(*FLAGS, "--vip-binding", "route")


def spreads_over_both(place, url):
    answers = place.tally(url, 6)
    assert answers == {"pod-1": 3, "pod-2": 3}, answers


def case_with_routes_cluster_ips_answer_pods_and_the_host_in_both_families(lab):
    for url in ("http://10.96.1.1", "http://[fd00:10:96::11]"):
        spreads_over_both(lab["pod-1"], url)
        spreads_over_both(lab.node, url)


def case_with_routes_node_ports_and_load_balancer_ips_answer_from_outside(lab):
    for url in ("http://203.0.113.1:30080", "http://192.0.2.10"):
        answers = lab.outside.tally(url, 6)
        assert len(answers) == 2, answers


def case_with_routes_kube_ipvs0_has_no_address_and_a_route_for_each_virtual_ip(lab):
    assert "inet " not in lab.addresses()
    assert "local 10.96.1.1" in lab.node.run("ip", "route", "show", "table", "local", "dev", "kube-ipvs0")


def case_with_routes_host_traffic_has_the_nodes_address_for_its_source(lab):
    assert " src 203.0.113.1 " in lab.node.run("ip", "route", "get", "10.96.1.1")


# With the last address of kube-ipvs0 the kernel removes the routes to it as well; what a pod sends to itself in that
# moment leaves by another interface, for which the kernel ends its masqueraded connection. Those to others continue.
def case_from_routes_to_addresses_and_back_no_virtual_ip_is_lost_and_no_connection_to_another_pod_drops(lab):
    lab["pod-1"].start_load("long", "connections", "10.96.1.1", 7, workers=6)
    lab.agent.restart(*FLAGS, "--vip-binding", "address")
    assert "inet 10.96.1.1/32" in lab.addresses()
    spreads_over_both(lab.node, "http://10.96.1.1")
    lab.agent.restart(*FLAGS, "--vip-binding", "route")
    assert "inet " not in lab.addresses()
    spreads_over_both(lab.node, "http://10.96.1.1")
    load = lab.stop_load("long")
    assert load["failed"] <= load["names"]["pod-1"], load
    assert load["total"] > 10, load
    assert sum(load["names"].values()) == 6, load


# docker0 is older than what is added later, and its address sorts first.
def case_with_routes_host_traffic_has_the_source_address_of_the_default_route_and_follows_it_d6(lab):
    lab.agent.stop()
    lab.node.ip("link add docker0 type dummy", "address add 172.17.0.1/16 dev docker0",
                "address add fd00:17::1/64 dev docker0 nodad", "link set docker0 up",
                "route add default via fd00:203::2")
    # No --cluster-cidr: nothing masquerades what has a wrong source.
    lab.agent.restart(*CLUSTER_IPS, "--vip-binding", "route")

    def has_source(destination, source):
        wait_until(f"{destination} is called from {source}", 10,
                   lambda: f" src {source} " in lab.node.run("ip", "route", "get", destination) + " ")

    def answers(number, source, source6):
        lab.write("case.yaml", service("late", f"10.96.9.{number}", {"pod": "pod-1"},
                                       **dual_stack(f"10.96.9.{number}", f"fd00:10:96::9{number}")))
        for server, pod_1 in ((f"TCP 10.96.9.{number}:80", "10.244.1.11:80"),
                              (f"TCP [fd00:10:96::9{number}]:80", "[fd00:244::11]:80")):
            wait_until(f"{server} leads to the pod", 20, lambda: lab.leads_to(server, pod_1))
        for address, expected in (("10.96.1.1", source), (f"10.96.9.{number}", source), ("fd00:10:96::11", source6),
                                  (f"fd00:10:96::9{number}", source6)):
            has_source(address, expected)
        lab.node.seen_as(f"http://10.96.9.{number}", source)
        lab.node.seen_as(f"http://[fd00:10:96::9{number}]", source6)

    answers(1, "203.0.113.1", "fd00:203::1")
    lab.node.ip("link delete docker0")
    answers(2, "203.0.113.1", "fd00:203::1")
    # The primary address goes, and then another one comes. (With it go the secondary one and the default route.)
    lab.node.ip("address delete 203.0.113.1/24 dev eth0", "address delete fd00:203::1/64 dev eth0")
    lab.node.ip("address add 203.0.113.9/24 dev eth0", "address add fd00:203::9/64 dev eth0 nodad",
                "route replace default via 203.0.113.2", "route replace default via fd00:203::2")
    answers(3, "203.0.113.9", "fd00:203::9")
    lab.agent.stop()
    lab.node.ip("address flush dev eth0 scope global", "address add 203.0.113.1/24 dev eth0",
                "address add 203.0.113.3/24 dev eth0", "address add fd00:203::1/64 dev eth0 nodad",
                "route replace default via 203.0.113.2")
    lab.agent.restart(*FLAGS, "--vip-binding", "route")


def case_with_routes_cleanup_leaves_nothing(lab):
    lab.agent.stop()
    lab.agent.cleanup()
    assert not lab.has_device()
    assert "10.96" not in lab.node.run("ip", "route", "show", "table", "local")
    assert not lab.virtual_servers()
