# SPDX-License-Identifier: Apache-2.0
#
# Who gets in by which address, and whom it leads to: traffic policies, source ranges, external IPs, node ports'
# addresses, topology. One pod of the Services is here, one on another node; each kind of client asks.
import json

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show, wait_until
from objects import dual_stack, load_balancer, node, pod, service

HERE = "10.244.1.11:80"
AWAY = "10.244.2.21:80"
V1 = {"set": "v1"}
CLIENTS = ("node", "client-here", "client-away")


def group_up(lab):
    lab.add_worker()
    lab.outside.ip("address add 203.0.113.66/24 dev eth0",  # asks only where a test says so
                   "address add fd00:203::66/64 dev eth0 nodad preferred_lft 0")
    lab.add_pods(here=11, away="2.21", client_here=12, client_away="2.22")
    lab.write("pods.yaml", pod("here", 11), pod("away", "2.21"), pod("client-here", 12, {"set": "clients"}),
              pod("client-away", "2.22", {"set": "clients"}))
    zones(lab, "zone-a", "zone-b")
    restart_agent(lab, *CLUSTER_CIDR)


def zones(lab, of_node, of_worker):
    lab.write("nodes.yaml", node("node", "172.20.0.1", "10.244.1.0/24", zone=of_node),
              node("worker", "172.20.0.2", "10.244.2.0/24", zone=of_worker))


def restart_agent(lab, *flags):
    lab.agent.restart(*CLUSTER_IPS, *flags)


# --- externalTrafficPolicy -------------------------------------------------------------------------------------------

POLICY_URLS = ("http://192.0.2.61", "http://203.0.113.1:30061")


def load_balancer_with_policy_local(lab, selector):
    lab.write("case.yaml", load_balancer("policy", "10.96.6.1", selector, ["192.0.2.61"], node_port=30061,
                                         externalTrafficPolicy="Local"))


def case_with_external_policy_local_clients_outside_reach_the_pods_here_and_clients_in_the_cluster_reach_all(lab):
    load_balancer_with_policy_local(lab, V1)
    lab.served("192.0.2.61", 80, HERE)
    for url in POLICY_URLS:
        lab.outside.reaches(url, "here")
        lab.outside.seen_as(url, "203.0.113.2")
        for client in CLIENTS:
            lab[client].reaches(url, "away", "here")
        lab["client-here"].seen_as(url, "10.244.1.12")


def case_with_external_policy_local_and_pods_only_elsewhere_the_outside_gets_no_answer_and_the_cluster_does(lab):
    load_balancer_with_policy_local(lab, {"pod": "away"})
    lab.served("10.96.6.1", 80, AWAY)
    lab.served("192.0.2.61", 80)
    for url in POLICY_URLS:
        lab.outside.dropped(url)
        for client in CLIENTS:
            lab[client].reaches(url, "away")


def case_with_external_policy_local_and_no_pod_anywhere_everybody_is_refused_at_once(lab):
    load_balancer_with_policy_local(lab, {"set": "none"})
    lab.served("192.0.2.61", 80)
    for url in POLICY_URLS:
        for client in ("outside", *CLIENTS):
            lab[client].refused(url)


def case_with_external_policy_local_clients_outside_get_answers_while_a_ready_pod_is_on_this_node(lab):
    mover = {"app": "mover"}
    load_balancer_with_policy_local(lab, mover)
    lab.write("case-pod.yaml", pod("mover-1", "2.21", mover))
    lab.served("10.96.6.1", 80, AWAY)
    lab.served("192.0.2.61", 80)
    lab.outside.dropped("http://192.0.2.61")
    lab.write("case-pod-2.yaml", pod("mover-2", 11, mover))
    lab.served("192.0.2.61", 80, HERE)
    lab.outside.reaches("http://192.0.2.61", "here")
    lab.write("case-pod-2.yaml", pod("mover-2", 11, mover, ready=False))
    lab.served("192.0.2.61", 80)
    lab.outside.dropped("http://192.0.2.61")


def case_with_external_policy_local_a_pod_replaced_by_another_here_fails_no_request(lab):
    roll = {"app": "roll"}
    load_balancer_with_policy_local(lab, roll)
    lab.write("case-pod.yaml", pod("roll-1", 11, roll))
    lab.served("192.0.2.61", 80, HERE)
    lab.outside.start_load("roll", "requests", "192.0.2.61", 80, workers=2)
    lab.outside.reaches("http://192.0.2.61", "here")
    lab.write("case-pod-2.yaml", pod("roll-2", 12, roll))
    lab.served("192.0.2.61", 80, HERE, "10.244.1.12:80")
    lab.remove("case-pod.yaml")
    lab.served("192.0.2.61", 80, "10.244.1.12:80")
    lab.outside.reaches("http://192.0.2.61", "client-here")
    seen = lab.stop_load("roll")
    show(json.dumps(seen))
    assert seen["failed"] == 0 and "here" in seen["names"] and "client-here" in seen["names"]


def case_without_cluster_cidr_the_pod_network_of_the_node_object_tells_pods_from_other_clients(lab):
    restart_agent(lab)
    load_balancer_with_policy_local(lab, V1)
    lab.served("192.0.2.61", 80, HERE)
    lab.outside.reaches("http://192.0.2.61", "here")
    lab.node.reaches("http://192.0.2.61", "away", "here")
    lab["client-here"].reaches("http://192.0.2.61", "away", "here")
    restart_agent(lab, *CLUSTER_CIDR)


# --- internalTrafficPolicy -------------------------------------------------------------------------------------------


def service_with_policy_local(lab, selector):
    lab.write("case.yaml", service("internal", "10.96.6.2", selector, node_port=30062, type="NodePort",
                                   internalTrafficPolicy="Local", externalIPs=["192.0.2.62"]))


def case_with_internal_policy_local_the_cluster_ip_leads_to_pods_here_and_node_ports_to_all(lab):
    service_with_policy_local(lab, V1)
    lab.served("10.96.6.2", 80, HERE)
    lab.served("192.0.2.62", 80, HERE, AWAY)
    lab.node.reaches("http://10.96.6.2", "here")
    lab["client-here"].reaches("http://10.96.6.2", "here")
    lab.outside.reaches("http://203.0.113.1:30062", "away", "here")
    lab.outside.reaches("http://192.0.2.62", "away", "here")


def case_with_internal_policy_local_and_no_pod_here_the_cluster_ip_refuses_and_node_ports_still_answer(lab):
    service_with_policy_local(lab, {"pod": "away"})
    lab.served("10.96.6.2", 80)
    lab.served("192.0.2.62", 80, AWAY)
    lab.node.refused("http://10.96.6.2")
    lab["client-here"].refused("http://10.96.6.2")
    lab.outside.reaches("http://203.0.113.1:30062", "away")
    lab["client-here"].reaches("http://192.0.2.62", "away")


# --- loadBalancerSourceRanges ----------------------------------------------------------------------------------------


def ranged(lab, *ranges):
    lab.write("case.yaml", load_balancer("ranged", "10.96.6.3", V1, ["192.0.2.63"], node_port=30063,
                                         loadBalancerSourceRanges=ranges))


def case_source_ranges_let_in_who_is_in_them_and_limit_nothing_but_the_load_balancers_ip(lab):
    ranged(lab, "203.0.113.2/32", "198.51.100.0/24")
    lab.served("192.0.2.63", 80, HERE, AWAY)
    lab.outside.reaches("http://192.0.2.63", "away", "here")
    lab.outside.dropped("http://192.0.2.63", source="203.0.113.66")
    lab["client-here"].dropped("http://192.0.2.63")
    lab.node.dropped("http://192.0.2.63")
    lab.outside.get("http://10.96.6.3", source="203.0.113.66")
    lab.outside.get("http://203.0.113.1:30063", source="203.0.113.66")
    lab.node.reaches("http://10.96.6.3", "away", "here")


def case_source_ranges_let_the_host_in_exactly_if_its_address_is_in_one(lab):
    ranged(lab, "203.0.113.3/32")
    lab.served("192.0.2.63", 80, HERE, AWAY)
    lab.node.reaches("http://192.0.2.63", "away", "here")
    lab.outside.dropped("http://192.0.2.63")


def case_source_ranges_hold_for_ipv6_and_a_family_without_ranges_is_open(lab):
    lab.write("case.yaml", load_balancer("ranged", "10.96.6.4", V1, ["192.0.2.64", "fd00:192::64"],
                                         **dual_stack("10.96.6.4", "fd00:10:96::64"),
                                         loadBalancerSourceRanges=["fd00:203::2/128"]))
    lab.served("[fd00:192::64]", 80, "[fd00:244:2::21]:80", "[fd00:244::11]:80")
    lab.outside.reaches("http://[fd00:192::64]", "away", "here")
    lab.outside.dropped("http://[fd00:192::64]", source="fd00:203::66")
    lab.outside.get("http://192.0.2.64", source="203.0.113.66")


def case_a_source_range_that_cannot_be_read_admits_nobody_and_the_others_hold_A4(lab):
    ranged(lab, "203.000.113.002/32", "198.51.100.0/33")
    lab.served("192.0.2.63", 80, HERE, AWAY)
    lab.outside.reaches("http://192.0.2.63", "away", "here")
    lab.outside.dropped("http://192.0.2.63", source="203.0.113.66")
    ranged(lab, "everybody")
    wait_until("nobody is let in", 20, lambda: lab.agent.logged("everybody.* is not a CIDR.*left out"))
    lab.agent.finish_pass()
    lab.outside.dropped("http://192.0.2.63")
    lab.outside.get("http://10.96.6.3")


# --- addresses -------------------------------------------------------------------------------------------------------


def case_addresses_are_read_as_by_kube_proxy_and_a_bad_one_costs_only_itself_A4(lab):
    lab.write("case.yaml", service("old", "10.96.006.011", V1, externalIPs=["::ffff:192.0.2.69", "192.0.2.256"]))
    lab.served("10.96.6.11", 80, HERE, AWAY)
    lab.served("192.0.2.69", 80, HERE, AWAY)
    lab.node.reaches("http://10.96.6.11", "away", "here")
    lab.outside.reaches("http://192.0.2.69", "away", "here")
    assert lab.agent.times_logged("old: spec.externalIPs.1.: .*192.0.2.256.* is not an IP address: left out") == 1


def case_each_ingress_ip_is_served_but_those_of_mode_proxy_and_without_node_ports(lab):
    ingress = ["192.0.2.65", {"ip": "192.0.2.66", "ipMode": "Proxy"}, {"ip": "192.0.2.67", "ipMode": "VIP"},
               {"hostname": "lb.example.org"}]
    lab.write("case.yaml", load_balancer("many", "10.96.6.5", V1, ingress, allocateLoadBalancerNodePorts=False))
    lab.served("192.0.2.65", 80, HERE, AWAY)
    lab.served("192.0.2.67", 80, HERE, AWAY)
    lab.outside.reaches("http://192.0.2.65", "away", "here")
    lab.outside.reaches("http://192.0.2.67", "away", "here")
    assert not lab.has_server("TCP 192.0.2.66:80")
    assert not lab.has_address("192.0.2.66")
    assert not [server for server in lab.virtual_servers() if server.startswith("TCP 203.0.113.1:")]


def case_an_external_ip_that_is_the_nodes_own_is_served_and_never_bound(lab):
    lab.write("case.yaml", service("external", "10.96.6.7", V1, externalIPs=["192.0.2.68", "203.0.113.3"]))
    lab.served("192.0.2.68", 80, HERE, AWAY)
    assert lab.leads_to("TCP 203.0.113.3:80", HERE, AWAY)
    lab.outside.reaches("http://192.0.2.68", "away", "here")
    lab.outside.reaches("http://203.0.113.3", "away", "here")
    lab.node.reaches("http://203.0.113.3", "away", "here")
    assert not lab.has_address("203.0.113.3")


def case_a_virtual_ip_that_gets_an_address_of_a_real_interface_is_unbound_and_served_and_bound_again_after(lab):
    lab.write("case.yaml", service("external", "10.96.6.7", V1, externalIPs=["192.0.2.68"]))
    lab.served("192.0.2.68", 80, HERE, AWAY)
    lab.node.ip("address add 192.0.2.68/32 dev eth0")
    wait_until("it leaves kube-ipvs0", 20, lambda: not lab.has_address("192.0.2.68"))
    lab.outside.reaches("http://192.0.2.68", "away", "here")
    lab.node.ip("address delete 192.0.2.68/32 dev eth0")
    wait_until("it is back on kube-ipvs0", 20, lambda: lab.has_address("192.0.2.68"))
    lab.outside.reaches("http://192.0.2.68", "away", "here")


def case_node_ports_are_on_the_nodes_addresses_that_the_flag_names_and_never_on_virtual_ips(lab):
    lab.write("case.yaml", load_balancer("ported", "10.96.6.9", V1, ["192.0.2.69"], node_port=30069,
                                         **dual_stack("10.96.6.9", "fd00:10:96::69")))
    lab.served("192.0.2.69", 80, HERE, AWAY)
    addresses = lab.node_port_addresses(30069)
    show("all addresses:", *addresses)
    assert addresses[:4] == ["10.244.1.1", "172.20.0.1", "203.0.113.1", "203.0.113.3"]
    restart_agent(lab, "--nodeport-addresses", "203.0.113.3/32,192.0.2.0/24,fd00:203::/64")
    addresses = lab.node_port_addresses(30069)
    show("203.0.113.3/32,192.0.2.0/24,fd00:203::/64:", *addresses)
    assert addresses == ["203.0.113.3", "[fd00:203::1]"]
    lab.outside.reaches("http://203.0.113.3:30069", "away", "here")
    lab.outside.refused("http://203.0.113.1:30069")
    lab.outside.refused("http://192.0.2.69:30069")
    restart_agent(lab, "--nodeport-addresses", "primary")
    addresses = lab.node_port_addresses(30069)
    show("primary:", *addresses)
    assert addresses[0] == "172.20.0.1"
    lab["client-away"].reaches("http://172.20.0.1:30069", "away", "here")
    lab.outside.refused("http://203.0.113.1:30069")
    restart_agent(lab, *CLUSTER_CIDR)


# --- health check node ports -----------------------------------------------------------------------------------------


def health_says(lab, status, count):
    """What port 30198 says to a load balancer: the status, the weight, and the body."""
    answer = lab.outside.fetch("http://203.0.113.1:30198/healthz")
    shown = f"{answer.body.strip()} {answer.status} {answer.headers['x-load-balancing-endpoint-weight']}"
    service_name = '"service":{"namespace":"default","name":"healthy"}'
    assert shown == f'{{{service_name},"localEndpoints":{count},"serviceProxyHealthy":true}} {status} {count}', shown
    show(shown)
    return True


def case_the_health_check_node_port_counts_the_ready_pods_here(lab):
    healthy = {"app": "healthy"}
    away = pod("healthy-2", "2.21", healthy)
    lab.write("case.yaml", load_balancer("healthy", "10.96.6.10", healthy, ["192.0.2.70"], node_port=30070,
                                         externalTrafficPolicy="Local", healthCheckNodePort=30198))
    lab.write("case-pods.yaml", pod("healthy-1", 11, healthy), away)
    lab.served("192.0.2.70", 80, HERE)
    wait_until("it answers 200", 10, lambda: health_says(lab, 200, 1))
    # Only terminating, and still answering: it serves those who come, and is no reason to send more.
    lab.write("case-pods.yaml", pod("healthy-1", 11, healthy, deleted_in=3600), away)
    wait_until("it answers 503", 10, lambda: health_says(lab, 503, 0))
    lab.outside.reaches("http://192.0.2.70", "here")
    lab.write("case-pods.yaml", pod("healthy-1", 11, healthy, ready=False), away)
    lab.served("192.0.2.70", 80)
    assert health_says(lab, 503, 0)
    lab.remove("case.yaml")
    wait_until("the port is closed", 10, lambda: lab.outside.refused("http://203.0.113.1:30198/healthz"))


# --- topology --------------------------------------------------------------------------------------------------------


def case_pods_of_the_same_zone_are_preferred_and_all_are_used_where_it_has_none(lab):
    lab.write("case.yaml", service("near", "10.96.6.11", V1, trafficDistribution="PreferSameZone"))
    lab.served("10.96.6.11", 80, HERE)
    lab["client-here"].reaches("http://10.96.6.11", "here")
    zones(lab, "zone-a", "zone-a")
    lab.served("10.96.6.11", 80, HERE, AWAY)
    lab["client-here"].reaches("http://10.96.6.11", "away", "here")
    zones(lab, "zone-c", "zone-b")
    wait_until("only its own zone's", 10, lambda: lab.leads_to("TCP 10.96.6.11:80", HERE))
    zones(lab, "zone-a", "zone-b")


def hinted_slice(**zones_by_pod):
    """Of Service `hinted`, as its controller would write it."""
    addresses = {"here": "10.244.1.11", "away": "10.244.2.21"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "hinted-1", "labels": {"kubernetes.io/service-name": "hinted"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [addresses[name]], "conditions": {"ready": True},
                       "hints": {"forZones": [{"name": zone}]}} for name, zone in zones_by_pod.items()],
    }


def case_the_hints_of_an_endpoint_slice_say_which_zone_an_endpoint_is_for(lab):
    restart_agent(lab, "--endpoint-source", "endpointslice")
    lab.write("case.yaml", service("hinted", "10.96.6.24", V1))
    lab.write("case-slice.yaml", hinted_slice(here="zone-a", away="zone-b"))
    lab.served("10.96.6.24", 80, HERE)
    lab["client-here"].reaches("http://10.96.6.24", "here")
    lab.write("case-slice.yaml", hinted_slice(here="zone-b", away="zone-a"))
    lab.served("10.96.6.24", 80, AWAY)
    lab["client-here"].reaches("http://10.96.6.24", "away")
    restart_agent(lab, *CLUSTER_CIDR)


def case_pods_of_the_same_node_are_preferred_and_all_are_used_where_it_has_none(lab):
    lab.write("case.yaml", service("nearest", "10.96.6.12", V1, trafficDistribution="PreferSameNode"),
              service("nearest-away", "10.96.6.13", {"pod": "away"}, trafficDistribution="PreferSameNode"))
    lab.served("10.96.6.12", 80, HERE)
    lab.served("10.96.6.13", 80, AWAY)
    lab["client-here"].reaches("http://10.96.6.12", "here")
    lab["client-here"].reaches("http://10.96.6.13", "away")


def case_a_pod_on_the_hosts_network_of_the_clients_node_answers_everybody(lab):
    app = {"app": "the-host"}
    lab.serve("the-host", lab.node, http_port=8088)
    host_pod = pod("the-host", 11, app, port=8088)
    host_pod["spec"]["hostNetwork"] = True
    host_pod["status"].update(podIP="172.20.0.1", podIPs=[{"ip": "172.20.0.1"}, {"ip": "fd00:172::1"}])
    lab.write("case-pod.yaml", host_pod)
    hosted = dict(name="hosted", cluster_ip="10.96.6.14", selector=app, ingress=["192.0.2.74"], node_port=30074)
    lab.write("case.yaml", load_balancer(**hosted))
    lab.served("192.0.2.74", 80, "172.20.0.1:8088")
    for client in (*CLIENTS, "outside"):
        for url in ("http://10.96.6.14", "http://192.0.2.74", "http://203.0.113.1:30074"):
            lab[client].reaches(url, "the-host")
    lab.write("case.yaml", load_balancer(**hosted, externalTrafficPolicy="Local"))
    wait_until("the policy is Local", 10, lambda: lab.set_has("external-local-ips-4", "192.0.2.74"))
    lab.outside.seen_as("http://192.0.2.74", "203.0.113.2")
    lab.node.reaches("http://192.0.2.74", "the-host")
    lab.stop("the-host")
