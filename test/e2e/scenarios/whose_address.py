# SPDX-License-Identifier: Apache-2.0
#
# Addresses that a Service asks for and that are somebody else's as well: the API server's, another Node's, this node's
# own, another Service's. The end of a name is the row of the list of faults.
import json
import os

from agent import CLUSTER_CIDR
from api_server import ApiServer
from checks import wait_until
from objects import load_balancer, node, pod, service
from two_nodes import AWAY, BOTH, group_up as two_nodes_up, use_agent, write_nodes

V1, FAR = {"set": "v1"}, {"set": "away"}
API = "198.51.100.77"
PORT_8080 = {"name": "http", "port": 8080, "targetPort": "http"}


def group_up(lab):
    two_nodes_up(lab)
    lab.outside.ip(f"address add {API}/32 dev lo")
    give(lab)
    with lab.outside.namespace:
        server = ApiServer(API, 8080, f"{lab.directory}/objects")
        lab.fork("api", server)
    server.close()


def give(lab, *objects):
    """What the API server has, besides Pods and Nodes."""
    objects = (*objects, pod("pod-1", 11, ready=True), pod("pod-2", 12, ready=True), node("node", "172.20.0.1", "10.244.1.0/24"))
    with open(f"{lab.directory}/new-objects", "w", encoding="utf-8") as file:
        json.dump(objects, file)
    os.rename(f"{lab.directory}/new-objects", f"{lab.directory}/objects")


def use_api(lab, *flags):
    lab.agent.restart(*CLUSTER_CIDR, *flags, source=("--master", f"http://{API}:8080"))


# --- the API server's --------------------------------------------------------------------------------------------------


def is_never_bound(lab, greedy):
    give(lab, greedy)
    use_api(lab)
    lab.served("192.0.2.160", 80, *BOTH)
    wait_until("it is reported", 20, lambda: lab.agent.logged(rf"{API} is the address of the API server: not served"))
    assert not lab.has_address(API)
    assert not lab.has_server(f"TCP {API}:80")
    lab.outside.reaches("http://192.0.2.160", "pod-1", "pod-2")
    give(lab)  # The agent hears of it.
    lab.not_served("192.0.2.160")
    lab.agent.stop()


def case_an_external_ip_that_is_the_api_servers_address_is_never_bound_b1(lab):
    is_never_bound(lab, service("greedy", "10.96.9.31", V1, externalIPs=[API, "192.0.2.160"]))


def case_a_load_balancers_ip_that_is_the_api_servers_address_is_never_bound_b1(lab):
    is_never_bound(lab, load_balancer("greedy", "10.96.9.31", V1, [API, "192.0.2.160"]))


def case_what_was_left_at_the_api_servers_address_is_released_and_the_start_goes_on_b1(lab):
    use_agent(lab)  # Manifests: there is no API server.
    lab.write("case.yaml", service("greedy", "10.96.9.32", V1, port=PORT_8080, externalIPs=[API, "192.0.2.161"]))
    lab.served(API, 8080, *BOTH)
    lab.served("192.0.2.161", 8080, *BOTH)
    lab.agent.kill()
    lab.remove("case.yaml")
    give(lab, service("greedy", "10.96.9.32", V1, port=PORT_8080, externalIPs=[API, "192.0.2.161"]))
    use_api(lab)
    assert lab.agent.logged(f"{API} is the address of the API server: what was programmed there")
    assert not lab.has_address(API)
    assert not lab.has_server(f"TCP {API}:8080")
    lab.outside.reaches("http://192.0.2.161:8080", "pod-1", "pod-2")
    lab.agent.stop()


# --- a Node's ----------------------------------------------------------------------------------------------------------


def case_an_own_address_that_a_stale_node_lists_is_served_b2(lab):
    use_agent(lab)
    lab.write("case-node.yaml", node("node-old-name", "203.0.113.1"))
    lab.write("case.yaml", load_balancer("shared", "10.96.9.33", V1, ["203.0.113.1"]))
    wait_until("it is served", 20, lambda: lab.leads_to("TCP 203.0.113.1:80", *BOTH))
    lab.outside.reaches("http://203.0.113.1", "pod-1", "pod-2")
    assert not lab.has_address("203.0.113.1")
    assert lab.has_address("203.0.113.1", interface="eth0")


def case_a_load_balancers_ip_that_is_another_nodes_external_ip_is_served_b3(lab):
    url = "http://192.0.2.162"
    use_agent(lab)
    worker = node("worker", "172.20.0.2", "10.244.2.0/24")
    worker["status"]["addresses"].append({"type": "ExternalIP", "address": "192.0.2.162"})
    lab.write("nodes.yaml", node("node", "172.20.0.1", "10.244.1.0/24"), worker)
    lab.write("case.yaml", load_balancer("shared", "10.96.9.34", V1, ["192.0.2.162"]))
    lab.served("192.0.2.162", 80, *BOTH)
    for name in ("outside", "client", "node"):
        lab[name].reaches(url, "pod-1", "pod-2")
    write_nodes(lab, "172.20.0.1")


def case_a_cloud_that_reports_the_addresses_of_kube_ipvs0_takes_none_of_them_away_b3(lab):
    use_agent(lab)
    lab.write("case-kubernetes.yaml", service("kubernetes", "10.96.0.1", FAR))
    lab.write("case.yaml", load_balancer("shared", "10.96.9.35", V1, ["192.0.2.163"]))
    lab.served("192.0.2.163", 80, *BOTH)
    worker = node("worker", "172.20.0.2", "10.244.2.0/24")
    worker["status"]["addresses"] += [{"type": "InternalIP", "address": each}
                                      for each in ("10.96.0.1", "10.96.9.35", "192.0.2.163")]
    lab.write("nodes.yaml", node("node", "172.20.0.1", "10.244.1.0/24"), worker)
    lab.write("case-last.yaml", service("last", "10.96.9.36", V1))
    lab.served("10.96.9.36", 80, *BOTH)
    lab.agent.finish_pass()
    assert lab.has_address("192.0.2.163") and lab.has_address("10.96.9.35") and lab.has_address("10.96.0.1")
    lab.outside.reaches("http://192.0.2.163", "pod-1", "pod-2")
    write_nodes(lab, "172.20.0.1")


def case_an_address_of_two_nodes_is_left_alone_until_both_are_gone_b4(lab):
    use_agent(lab)
    lab.write("case-wb.yaml", node("wb", "172.20.0.2"))
    lab.write("case.yaml", load_balancer("greedy", "10.96.9.37", V1, ["172.20.0.2", "192.0.2.164"]))
    lab.served("192.0.2.164", 80, *BOTH)
    lab.remove("case-wb.yaml")
    lab.write("case-last.yaml", service("last", "10.96.9.38", V1))
    lab.served("10.96.9.38", 80, *BOTH)
    lab.agent.finish_pass()
    assert not lab.has_address("172.20.0.2")
    lab.node.run("ping", "-q", "-c", "1", "-W", "5", "172.20.0.2")


def requests_for_other_nodes(lab):
    with open(f"{lab.directory}/log-api", encoding="utf-8") as file:
        return file.read().count("metadata.name%21%3Dnode")


def case_other_nodes_are_requested_only_for_external_addresses_and_theirs_are_not_bound(lab):
    worker = node("worker", "172.20.0.2", "10.244.2.0/24")
    for mode in ("selector", "endpointslice"):
        before = requests_for_other_nodes(lab)
        give(lab, worker, service("plain", "10.96.9.44", V1, type="NodePort", node_port=30161))
        use_api(lab, "--endpoint-source", mode)
        wait_until("it is served", 20, lambda: lab.has_server("TCP 10.96.9.44:80"))
        assert requests_for_other_nodes(lab) == before, mode
        give(lab, worker, service("greedy", "10.96.9.45", V1, externalIPs=["172.20.0.2", "192.0.2.166"]))
        wait_until("the other address is bound", 20, lambda: lab.has_address("192.0.2.166"))
        assert lab.agent.logged("172.20.0.2 is the address of Node worker: not served")
        assert not lab.has_address("172.20.0.2") and not lab.has_server("TCP 172.20.0.2:80")
        assert requests_for_other_nodes(lab) > before, mode
        use_api(lab, "--endpoint-source", mode)  # It is needed from the beginning.
        assert lab.has_address("192.0.2.166") and not lab.has_address("172.20.0.2")
        assert lab.agent.logged("Table complete.* operations=0 ")
        lab.node.run("ping", "-q", "-c", "1", "-W", "5", "172.20.0.2")
    give(lab)
    lab.not_served("192.0.2.166")
    lab.agent.stop()


# --- another Service's -------------------------------------------------------------------------------------------------


def case_a_cluster_ip_counts_more_than_an_older_external_ip_which_succeeds_it_b5(lab):
    url = "http://10.96.9.39"
    use_agent(lab)
    lab.write("case.yaml", service("mine", "10.96.9.40", FAR, created="2020-01-01T00:00:00Z", externalIPs=["10.96.9.39"]))
    lab.served("10.96.9.39", 80, AWAY)
    lab.write("case-pay.yaml", service("pay", "10.96.9.39", V1, created="2025-01-01T00:00:00Z"))
    lab.served("10.96.9.39", 80, *BOTH)
    wait_until("it is reported", 20, lambda: lab.agent.logged(
        r"TCP 10\.96\.9\.39:80 is taken by Service default/pay: not served there.*default/mine"))
    lab["client"].reaches(url, "pod-1", "pod-2")
    lab.remove("case-pay.yaml")
    lab.served("10.96.9.39", 80, AWAY)
    lab["client"].reaches(url, "away")


def case_a_load_balancers_ip_counts_more_than_an_older_external_ip_b5(lab):
    use_agent(lab)
    lab.write("case.yaml", service("mine", "10.96.9.41", FAR, created="2020-01-01T00:00:00Z", externalIPs=["192.0.2.165"]),
              load_balancer("shop", "10.96.9.42", V1, ["192.0.2.165"], created="2025-01-01T00:00:00Z"))
    lab.served("192.0.2.165", 80, *BOTH)
    lab.outside.reaches("http://192.0.2.165", "pod-1", "pod-2")


# --- in 169.254.0.0/16 -------------------------------------------------------------------------------------------------


def case_a_load_balancers_ip_and_a_node_port_in_169_254_are_served_a5(lab):
    use_agent(lab)
    lab.node.ip("address add 169.254.10.1/24 dev eth0")
    lab.write("case.yaml", load_balancer("local", "10.96.9.43", V1, ["169.254.20.20"], node_port=30160))
    lab.served("169.254.20.20", 80, *BOTH)
    wait_until("the node port is served", 20, lambda: lab.leads_to("TCP 169.254.10.1:30160", *BOTH))
    for name in ("outside", "client", "node"):
        lab[name].reaches("http://169.254.20.20", "pod-1", "pod-2")
    lab.outside.reaches("http://169.254.10.1:30160", "pod-1", "pod-2")
    lab.outside.reaches("http://203.0.113.1:30160", "pod-1", "pod-2")
    lab.node.ip("address delete 169.254.10.1/24 dev eth0")
    wait_until("it is not served any more", 20, lambda: not lab.has_server("TCP 169.254.10.1:30160"))
