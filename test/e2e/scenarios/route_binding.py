# SPDX-License-Identifier: Apache-2.0
#
# --vip-binding=route: virtual IPs are local by routes instead of addresses.
from agent import CLUSTER_IPS
from objects import pod

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


def case_with_routes_cleanup_leaves_nothing(lab):
    lab.agent.stop()
    lab.agent.cleanup()
    assert not lab.has_device()
    assert "10.96" not in lab.node.run("ip", "route", "show", "table", "local")
    assert not lab.virtual_servers()
