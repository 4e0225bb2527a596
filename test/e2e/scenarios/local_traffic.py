# SPDX-License-Identifier: Apache-2.0
#
# Whose traffic is that of Pods here (--detect-local-mode, one test for each mode), and node ports on the node's
# loopback addresses (--nodeport-addresses=localhost).
#
# Pods of the node have an interface each, whose name begins with "pod"; bridged ones share cni0. What the node
# masquerades is seen as one of its own addresses.
import json
import os
import socket

from agent import CLUSTER_CIDR, CLUSTER_IPS
from api_server import ApiServer
from checks import wait_until
from objects import dual_stack, load_balancer, node, pod, service

V1 = {"set": "v1"}
HERE, AWAY = "10.244.1.11:80", "10.244.2.21:80"
API = "198.51.100.77"
# As the kernel writes them, for the pod `here`.
NODE4, NODE6 = "10.244.1.1", "fd00:244::1"


def group_up(lab):
    lab.add_worker()
    lab.add_bridge()
    lab.add_pods(here=11, client=12, away="2.21", bridged_client="3.32")
    lab.write("pods.yaml", pod("here", 11), pod("away", "2.21", {"set": "away"}))
    lab.write("nodes.yaml", node("node", "172.20.0.1", "10.244.1.0/24"), node("worker", "172.20.0.2", "10.244.2.0/24"))
    lab.outside.ip(f"address add {API}/32 dev lo")
    give(lab)
    with lab.outside.namespace:
        server = ApiServer(API, 8080, f"{lab.directory}/objects")
        lab.fork("api", server)
    server.close()


def cluster_service():
    return service("cluster", "10.96.7.1", V1, **dual_stack("10.96.7.1", "fd00:10:96::701"))


def give(lab, network=None):
    """What the API server has; `network`: of this node's Pods."""
    objects = (cluster_service(), pod("here", 11, ready=True), node("node", "172.20.0.1", network))
    with open(f"{lab.directory}/new-objects", "w", encoding="utf-8") as file:
        json.dump(objects, file)
    os.rename(f"{lab.directory}/new-objects", f"{lab.directory}/objects")


def serve_cluster_ip(lab, *flags):
    lab.agent.restart(*CLUSTER_IPS, *flags)
    lab.write("case.yaml", cluster_service())
    lab.served("10.96.7.1", 80, HERE)


def keeps_its_address(lab, client, address, address6=None):
    lab[client].seen_as("http://10.96.7.1", address)
    if address6:
        lab[client].seen_as("http://[fd00:10:96::701]", address6)


def is_masqueraded(lab, *clients):
    for client in clients:
        lab[client].seen_as("http://10.96.7.1", NODE4)
        lab[client].seen_as("http://[fd00:10:96::701]", NODE6)


# --- --detect-local-mode ---------------------------------------------------------------------------------------------


def case_with_cluster_cidr_what_comes_from_other_networks_is_masqueraded(lab):
    serve_cluster_ip(lab, *CLUSTER_CIDR, "--detect-local-mode", "ClusterCIDR")
    keeps_its_address(lab, "client", "10.244.1.12", "fd00:244::12")
    keeps_its_address(lab, "bridged-client", "10.244.3.32")
    is_masqueraded(lab, "node", "outside")


def case_with_an_interface_name_prefix_what_comes_by_other_interfaces_is_masqueraded(lab):
    serve_cluster_ip(lab, *CLUSTER_CIDR, "--detect-local-mode", "InterfaceNamePrefix",
                     "--pod-interface-name-prefix", "pod")
    keeps_its_address(lab, "client", "10.244.1.12", "fd00:244::12")
    # Its source is in the cluster's network.
    is_masqueraded(lab, "bridged-client", "node", "outside")


def case_with_a_bridge_what_does_not_come_from_it_is_masqueraded(lab):
    serve_cluster_ip(lab, "--detect-local-mode", "BridgeInterface", "--pod-bridge-interface", "cni0")
    keeps_its_address(lab, "bridged-client", "10.244.3.32", "fd00:244:3::32")
    with lab.explained.left_out():  # it takes each Pod of this node for one at the bridge
        is_masqueraded(lab, "client")
    is_masqueraded(lab, "node", "outside")


def case_with_an_interface_short_cuts_are_for_those_who_come_by_it(lab):
    lab.agent.restart(*CLUSTER_IPS, "--detect-local-mode", "InterfaceNamePrefix", "--pod-interface-name-prefix", "pod")
    lab.write("case-pods.yaml", pod("here", 11, {"set": "both"}), pod("away", "2.21", {"set": "both"}))
    lab.write("case.yaml", load_balancer("policy", "10.96.7.2", {"set": "both"}, ["192.0.2.71"],
                                         externalTrafficPolicy="Local"))
    lab.remove("pods.yaml")
    lab.served("10.96.7.2", 80, HERE, AWAY)
    lab.served("192.0.2.71", 80, HERE)
    url = "http://192.0.2.71"
    for client in ("client", "node"):
        lab[client].reaches(url, "away", "here")
    lab["client"].seen_as(url, "10.244.1.12")
    for client, address in (("bridged-client", "10.244.3.32"), ("outside", "203.0.113.2")):
        lab[client].reaches(url, "here")
        lab[client].seen_as(url, address)
    lab.write("pods.yaml", pod("here", 11), pod("away", "2.21", {"set": "away"}))


def case_with_node_cidr_nothing_is_done_before_the_node_has_networks_and_then_they_are_local(lab):
    give(lab)
    lab.agent.stop()
    lab.agent.cleanup()
    lab.agent.start("--detect-local-mode", "NodeCIDR", source=("--master", f"http://{API}:8080"))
    wait_until("it waits", 20, lambda: lab.agent.logged("Waiting for the Node's spec.podCIDRs"))
    assert not lab.has_server("TCP 10.96.7.1:80")
    give(lab, "10.244.1.0/24")
    lab.agent.ready()
    lab.served("10.96.7.1", 80, HERE)
    keeps_its_address(lab, "client", "10.244.1.12")
    lab["bridged-client"].seen_as("http://10.96.7.1", NODE4)
    lab.outside.seen_as("http://10.96.7.1", NODE4)
    # Another network: kube-proxy would end.
    give(lab, "10.244.3.0/24")
    wait_until("it is followed", 20, lambda: "10.244.3.0/24" in lab.node.run(
        "nft", "list", "chain", "inet", "kube-ipvs", "cluster-ip"))
    keeps_its_address(lab, "bridged-client", "10.244.3.32")
    lab["client"].seen_as("http://10.96.7.1", NODE4)


# --- --nodeport-addresses=localhost ----------------------------------------------------------------------------------

LOOPBACKS = ("http://127.0.0.1:30071", "http://[::1]:30071")


def ported(**more):
    return service("ported", "10.96.7.3", V1, type="NodePort", node_port=30071,
                   **dual_stack("10.96.7.3", "fd00:10:96::703"), **more)


def use_localhost(lab, addresses):
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR, "--nodeport-addresses", addresses)
    lab.write("case-pods.yaml", pod("other", "2.21", V1))
    lab.write("case.yaml", ported())
    lab.served("10.96.7.3", 80, HERE, AWAY)


def case_node_ports_on_loopback_reach_all_endpoints_beside_the_nodes_primary_address(lab):
    use_localhost(lab, "primary,localhost")
    wait_until("it listens", 20, lambda: lab.agent.metric("kube_ipvs_localhost_node_ports") == 2)
    assert lab.node_port_addresses(30071)[0] == "172.20.0.1"
    for url in LOOPBACKS:
        lab.node.reaches(url, "away", "here")
    lab.outside.refused("http://203.0.113.1:30071")
    assert len(lab.node.get("http://127.0.0.1:30071/large")) > 50_000


def case_with_localhost_alone_no_other_address_serves_node_ports_and_the_port_goes_with_its_service(lab):
    use_localhost(lab, "localhost")
    assert lab.node_port_addresses(30071) == []
    for url in LOOPBACKS:
        lab.node.reaches(url, "away", "here")
    lab.outside.refused("http://203.0.113.1:30071")
    lab.remove("case.yaml")
    for url in LOOPBACKS:
        wait_until("the port is closed", 20, lambda: is_refused(lab, url))


def is_refused(lab, url):
    try:
        return lab.node.refused(url)
    except AssertionError:
        return False


def case_a_loopback_port_of_another_program_is_reported_and_served_when_it_is_free(lab):
    with lab.node.namespace:
        other = socket.create_server(("127.0.0.1", 30071))
    use_localhost(lab, "localhost")
    wait_until("it is reported", 20, lambda: lab.agent.logged(
        r"node port on 127\.0\.0\.1:30071 cannot be listened on: Address already in use.*service=.default/ported"))
    lab.node.reaches(LOOPBACKS[1], "away", "here")
    assert "127.0.0.1:30071" in lab.node.get("http://127.0.0.1:10249/conditions")
    other.close()
    wait_until("it is served", 20, lambda: lab.agent.metric("kube_ipvs_localhost_node_ports") == 2)
    lab.node.reaches(LOOPBACKS[0], "away", "here")
    assert "127.0.0.1:30071" not in lab.node.get("http://127.0.0.1:10249/conditions")
