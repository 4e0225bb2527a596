# SPDX-License-Identifier: Apache-2.0
#
# The fields of a Service and changes of them: affinity, ports, types, labels, annotations. Refusals where there is no
# endpoint, and UDP flows that follow.
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import load_module, matches, show, wait_until
from client import ask_sctp, knock
from objects import DNS, HTTP, affinity, dual_stack, load_balancer, pod, service
from server import SctpServer

V1 = {"set": "v1"}
POD_1, POD_2 = BOTH = ("10.244.1.11:80", "10.244.1.12:80")


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, client=13)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)


def udp_served(lab, address, port, *destinations):
    lab.served(address, port, *destinations, protocol="UDP")


# --- affinity --------------------------------------------------------------------------------------------------------


def sticky_pods(lab, *names):
    numbers = {"pod-1": 11, "pod-2": 12}
    lab.write("case-pods.yaml", *(pod(name, numbers[name], {"app": "sticky"}) for name in names))


def is_persistent(lab, address, seconds):
    return matches(rf"^TCP +{address}:80 rr persistent {seconds}", lab.ipvs_table())


def is_not_persistent(lab, address):
    return matches(rf"^TCP +{address}:80 rr *$", lab.ipvs_table())


def case_with_affinity_a_client_keeps_its_pod_on_each_kind_of_address_until_it_is_switched_off(lab):
    sticky = dict(name="sticky", cluster_ip="10.96.7.1", selector=V1, ingress=["192.0.2.81"], node_port=30081)
    lab.write("case.yaml", load_balancer(**sticky, **affinity(600)))
    lab.served("192.0.2.81", 80, *BOTH)
    lab["client"].one_pod("http://10.96.7.1", 12)
    lab.node.one_pod("http://10.96.7.1", 12)
    lab.outside.one_pod("http://203.0.113.1:30081", 12)
    lab.outside.one_pod("http://192.0.2.81", 12)
    lab.write("case.yaml", load_balancer(**sticky))
    wait_until("it is off", 10, lambda: is_not_persistent(lab, "10.96.7.1"))
    lab["client"].reaches("http://10.96.7.1", "pod-1", "pod-2")
    lab.outside.reaches("http://192.0.2.81", "pod-1", "pod-2")
    lab.write("case.yaml", load_balancer(**sticky, **affinity(600)))
    wait_until("it is on", 10, lambda: is_persistent(lab, "10.96.7.1", 600))
    lab["client"].one_pod("http://10.96.7.1", 12)


def case_with_affinity_the_clients_of_a_removed_pod_get_another(lab):
    client, server = lab["client"], "TCP 10.96.7.2:80"
    sticky_pods(lab, "pod-1", "pod-2")
    lab.write("case.yaml", service("sticky", "10.96.7.2", {"app": "sticky"}, **affinity(600)))
    lab.served("10.96.7.2", 80, *BOTH)
    first = client.one_pod("http://10.96.7.2", 12)
    sticky_pods(lab, "pod-2" if first == "pod-1" else "pod-1")
    wait_until(f"{first} is no endpoint", 10, lambda: not lab.leads_to(server, *BOTH))
    second = client.one_pod("http://10.96.7.2", 12)
    assert second != first
    sticky_pods(lab, "pod-1", "pod-2")
    lab.served("10.96.7.2", 80, *BOTH)
    assert client.one_pod("http://10.96.7.2", 12) == second


# With UDP, as the kernel remembers a client for as long as it remembers one of its connections, a closed one of TCP for
# two minutes.
def case_with_affinity_a_client_is_forgotten_after_the_timeout(lab):
    client, address = lab["client"], "10.96.7.3"
    lab.write("case.yaml", service("forgetful", address, V1, port=DNS, **affinity(10)))
    udp_served(lab, address, 53, "10.244.1.11:53", "10.244.1.12:53")
    lab.node.run("ipvsadm", "--set", "0", "0", "1")
    first = client.ask(address, 53)
    assert client.ask(address, 53) == first
    wait_until("the client is forgotten", 60, lambda: f"{address}:" not in lab.node.run("ipvsadm", "-Lnc"))
    lab.node.run("ipvsadm", "--set", "0", "0", "300")
    second = client.ask(address, 53)
    show(f"{first}, and when it was forgotten {second}")
    assert second.startswith("pod-") and second != first


# --- no endpoint, or no Service --------------------------------------------------------------------------------------


def knock_from(place, kind, address, port, count):
    with place.namespace:
        seen = knock(kind, address, port, count)
    show(f"{kind} from {place.name} to {address}:{port}: {seen}")
    return seen


def all_refused(place, address, port):
    """200 times, and at once: a refusal that got lost would cost a second."""
    seen = knock_from(place, "tcp", address, port, 200)
    assert seen["refused"] == 200 and seen["median_ms"] < 100 and seen["slowest_ms"] < 900


def case_each_of_200_connects_in_a_row_is_refused_at_once_where_no_endpoint_or_no_service_is(lab):
    lab.write("case.yaml", load_balancer("empty", "10.96.7.4", {"set": "none"}, ["192.0.2.84"], node_port=30084,
                                         **dual_stack("10.96.7.4", "fd00:10:96::74")))
    lab.served("192.0.2.84", 80)
    wait_until("it is served", 10, lambda: lab.has_server("TCP [fd00:10:96::74]:80"))
    all_refused(lab["client"], "10.96.7.4", 80)
    all_refused(lab.node, "10.96.7.4", 80)
    all_refused(lab.outside, "192.0.2.84", 80)
    all_refused(lab.outside, "203.0.113.1", 30084)
    all_refused(lab["client"], "fd00:10:96::74", 80)
    all_refused(lab["client"], "10.96.7.4", 81)
    all_refused(lab.node, "10.96.7.4", 81)
    all_refused(lab.outside, "192.0.2.84", 81)


# The kernel limits ICMP to one client to a few a second.
def case_udp_without_endpoint_or_service_gets_port_unreachable(lab):
    lab.write("case.yaml", service("empty", "10.96.7.4", {"set": "none"}, port=DNS))
    udp_served(lab, "10.96.7.4", 53)
    for port in (53, 54):
        seen = knock_from(lab["client"], "udp", "10.96.7.4", port, 3)
        assert seen["refused"] > 0 and seen["answered"] == 0


# --- ports -----------------------------------------------------------------------------------------------------------


def case_tcp_udp_and_sctp_share_a_port_number_on_cluster_ip_and_node_port(lab):
    ports = [{"name": "web", "port": 53, "targetPort": 80, "nodePort": 30085},
             {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30085},
             {"name": "sctp", "port": 53, "protocol": "SCTP", "nodePort": 30085}]
    lab.write("case.yaml", service("trio", "10.96.7.5", {"pod": "pod-1"}, type="NodePort", ports=ports))
    load_module("sctp")
    with lab["pod-1"].namespace:
        server = SctpServer("pod-1-sctp", 53)
        lab.fork("sctp", server)
    server.close()
    lab.served("10.96.7.5", 53, "10.244.1.11:80")
    assert lab.leads_to("UDP 10.96.7.5:53", "10.244.1.11:53")
    assert lab.leads_to("SCTP 10.96.7.5:53", "10.244.1.11:53")
    for name, address, port in (("client", "10.96.7.5", 53), ("node", "10.96.7.5", 53), ("outside", "10.96.7.5", 53),
                                ("outside", "203.0.113.1", 30085)):
        assert lab[name].get(f"http://{address}:{port}").strip() == "pod-1"
        assert lab[name].ask(address, port) == "pod-1"
        with lab[name].namespace:
            assert ask_sctp(address, port) == "pod-1-sctp"
    lab.kill("sctp")


def case_tcp_and_udp_share_a_port_of_a_load_balancers_ip(lab):
    lab.write("case.yaml", load_balancer("duo", "10.96.9.20", {"pod": "pod-1"}, ["192.0.2.151"],
                                         ports=[{"name": "web", "port": 53, "targetPort": 80}, DNS]))
    udp_served(lab, "192.0.2.151", 53, "10.244.1.11:53")
    lab.served("192.0.2.151", 53, "10.244.1.11:80")
    for name in ("client", "node", "outside"):
        assert lab[name].get("http://192.0.2.151:53").strip() == "pod-1"
        assert lab[name].ask("192.0.2.151", 53) == "pod-1"


def case_a_named_target_port_differs_from_pod_to_pod(lab):
    ported = {"app": "ported"}
    lab.add_pod("other-port", 18, http_port=8080)
    lab.write("case-pods.yaml", pod("other-port", 18, ported, port=8080), pod("pod-1-ported", 11, ported))
    lab.write("case.yaml", service("ported", "10.96.7.6", ported))
    lab.served("10.96.7.6", 80, POD_1, "10.244.1.18:8080")
    lab["client"].reaches("http://10.96.7.6", "other-port", "pod-1")
    lab.remove_pod("other-port")


def case_a_port_of_a_restartable_init_container_is_served_by_its_name(lab):
    labels = {"app": "sidecar"}
    lab.add_pod("sidecar", 18, http_port=8080)
    sidecar = pod("sidecar", 18, labels, port=8080)
    [container] = sidecar["spec"]["containers"]
    sidecar["spec"]["initContainers"] = [{**container, "name": "proxy", "restartPolicy": "Always"}]
    sidecar["spec"]["containers"] = [{"name": "app", "image": "none"}]
    lab.write("case-pods.yaml", sidecar)
    lab.write("case.yaml", service("sidecar", "10.96.7.22", labels))
    lab.served("10.96.7.22", 80, "10.244.1.18:8080")
    lab["client"].reaches("http://10.96.7.22", "sidecar")
    lab.remove_pod("sidecar")


def case_an_added_port_is_served_and_a_removed_port_refuses_and_the_other_port_keeps_working(lab):
    client, more = lab["client"], {"name": "more", "port": 8000, "targetPort": 80}
    lab.write("case.yaml", service("ports", "10.96.7.7", V1))
    lab.served("10.96.7.7", 80, *BOTH)
    lab.write("case.yaml", service("ports", "10.96.7.7", V1, ports=[more, HTTP]))
    lab.served("10.96.7.7", 8000, *BOTH)
    client.reaches("http://10.96.7.7:8000", "pod-1", "pod-2")
    client.reaches("http://10.96.7.7", "pod-1", "pod-2")
    lab.write("case.yaml", service("ports", "10.96.7.7", V1, port={**HTTP, "port": 8000}))
    wait_until("the port is not served any more", 20, lambda: not lab.has_server("TCP 10.96.7.7:80"))
    client.refused("http://10.96.7.7")
    client.reaches("http://10.96.7.7:8000", "pod-1", "pod-2")


# --- Services that come, change and are deleted ----------------------------------------------------------------------


def case_a_deleted_service_refuses_and_works_when_it_is_created_again(lab):
    again = service("again", "10.96.7.8", V1, type="NodePort", node_port=30088)
    lab.write("case.yaml", again)
    lab.served("10.96.7.8", 80, *BOTH)
    lab.outside.reaches("http://203.0.113.1:30088", "pod-1", "pod-2")
    lab.remove("case.yaml")
    lab.not_served("10.96.7.8")
    lab.outside.refused("http://203.0.113.1:30088")
    lab.write("case.yaml", again)
    lab.served("10.96.7.8", 80, *BOTH)
    lab["client"].reaches("http://10.96.7.8", "pod-1", "pod-2")
    lab.outside.reaches("http://203.0.113.1:30088", "pod-1", "pod-2")


def case_a_dual_stack_load_balancer_answers_on_node_port_and_ip_of_both_families(lab):
    lab.write("case.yaml", load_balancer("dual", "10.96.7.9", V1, ["192.0.2.89", "fd00:192::89"], node_port=30089,
                                         **dual_stack("10.96.7.9", "fd00:10:96::79")))
    lab.served("[fd00:192::89]", 80, "[fd00:244::11]:80", "[fd00:244::12]:80")
    for url in ("http://[fd00:192::89]", "http://[fd00:203::1]:30089", "http://192.0.2.89", "http://203.0.113.1:30089"):
        for name in ("outside", "client", "node"):
            lab[name].reaches(url, "pod-1", "pod-2")


def case_the_scheduler_of_a_service_is_the_one_its_annotation_names(lab):
    lab.write("case.yaml",
              service("ours", "10.96.7.10", V1, annotations={"kube-ipvs.io/scheduler": "lc"}),
              service("theirs", "10.96.7.11", V1, annotations={"kube-router.io/service.scheduler": "sh"}),
              service("wrong", "10.96.7.12", V1, annotations={"kube-ipvs.io/scheduler": "best"}))
    lab.served("10.96.7.12", 80, *BOTH)
    table = lab.ipvs_table()
    print(table)
    assert "10.96.7.10:80 lc" in table
    assert "10.96.7.11:80 sh" in table
    assert "10.96.7.12:80 rr" in table
    lab.write("case.yaml", service("ours", "10.96.7.10", V1))
    wait_until("it has the default", 10, lambda: is_not_persistent(lab, "10.96.7.10"))


def case_an_annotation_with_an_unknown_scheduler_is_reported_in_one_line(lab):
    lab.write("case.yaml", service("mistaken", "10.96.7.13", V1, annotations={"kube-ipvs.io/scheduler": "best"}))
    lab.served("10.96.7.13", 80, *BOTH)
    wait_until("it is reported", 5, lambda: lab.agent.logged("kube-ipvs.io/scheduler.*best.*default/mistaken"))
    lab.agent.finish_pass()
    assert lab.agent.times_logged("kube-ipvs.io/scheduler.*default/mistaken") == 1


def case_a_label_that_leaves_a_service_to_others_removes_it_and_without_the_label_it_is_served_again(lab):
    lab.write("case.yaml", service("labelled", "10.96.7.14", V1))
    lab.served("10.96.7.14", 80, *BOTH)
    others = {"service.kubernetes.io/service-proxy-name": "another"}
    lab.write("case.yaml", service("labelled", "10.96.7.14", V1, labels=others))
    lab.not_served("10.96.7.14")
    lab.write("case.yaml", service("labelled", "10.96.7.14", V1))
    lab.served("10.96.7.14", 80, *BOTH)
    lab["client"].reaches("http://10.96.7.14", "pod-1", "pod-2")


# E8
def case_a_service_with_the_label_of_headless_ones_and_a_cluster_ip_is_served(lab):
    lab.write("case.yaml", service("labelled", "10.96.7.14", V1, labels={"service.kubernetes.io/headless": ""}))
    lab.served("10.96.7.14", 80, *BOTH)
    lab["client"].reaches("http://10.96.7.14", "pod-1", "pod-2")


def case_a_changed_type_opens_and_closes_node_port_and_load_balancer_ip(lab):
    outside, port_url, ip_url = lab.outside, "http://203.0.113.1:30095", "http://192.0.2.95"
    lab.write("case.yaml", service("typed", "10.96.7.15", V1))
    lab.served("10.96.7.15", 80, *BOTH)
    outside.refused(port_url)
    lab.write("case.yaml", load_balancer("typed", "10.96.7.15", V1, ["192.0.2.95"], node_port=30095))
    lab.served("192.0.2.95", 80, *BOTH)
    outside.reaches(port_url, "pod-1", "pod-2")
    outside.reaches(ip_url, "pod-1", "pod-2")
    lab.write("case.yaml", service("typed", "10.96.7.15", V1, type="NodePort", node_port=30095))
    wait_until("its load balancer's IP is deleted", 20, lambda: not lab.has_address("192.0.2.95"))
    outside.reaches(port_url, "pod-1", "pod-2")
    lab.write("case.yaml", service("typed", "10.96.7.15", V1))
    wait_until("its node port is closed", 20, lambda: not lab.has_server("TCP 203.0.113.1:30095"))
    outside.refused(port_url)
    lab["client"].reaches("http://10.96.7.15", "pod-1", "pod-2")


# --- UDP flows that follow -------------------------------------------------------------------------------------------


def names_pod(lab, app, number):
    """The one pod of the app is this one from now on."""
    lab.write("case-pod.yaml", pod(f"{app}-{number}", 10 + number, {"app": app}, port=53))


def case_udp_clients_with_a_fixed_source_port_get_answers_from_another_pod_as_soon_as_theirs_is_removed(lab):
    lab.write("case.yaml", load_balancer("names", "10.96.7.16", {"app": "names"}, ["192.0.2.96"], port=DNS,
                                         node_port=30096))
    names_pod(lab, "names", 1)
    udp_served(lab, "192.0.2.96", 53, "10.244.1.11:53")
    ways = (("client", "10.96.7.16", 53), ("node", "10.96.7.16", 53), ("outside", "192.0.2.96", 53),
            ("outside", "203.0.113.1", 30096))
    lab.ask_each("pod-1", 4096, ways)
    assert lab.udp_flows("(53|30096)", "10.244.1.11") == 4
    names_pod(lab, "names", 2)
    udp_served(lab, "192.0.2.96", 53, "10.244.1.12:53")
    wait_until("no flow leads to the old one", 5, lambda: lab.udp_flows("(53|30096)", "10.244.1.11") == 0)
    lab.ask_each("pod-2", 4096, ways)


def case_a_udp_flow_that_is_older_than_the_service_or_its_endpoint_works_as_soon_as_there_is_one(lab):
    address = "10.96.7.17"
    ways = [(name, address, 53) for name in ("client", "node", "outside")]
    ways_before = [(name, address, 53) for name in ("client", "outside")]
    lab.ask_each("nothing", 4097, ways_before)
    lab.write("case.yaml", service("early", address, {"app": "early"}, port=DNS))
    udp_served(lab, address, 53)
    lab.ask_each("nothing", 4098, ways)
    names_pod(lab, "early", 1)
    udp_served(lab, address, 53, "10.244.1.11:53")
    lab.ask_each("pod-1", 4098, ways)
    lab.ask_each("pod-1", 4097, ways_before)
