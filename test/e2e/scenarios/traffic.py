# SPDX-License-Identifier: Apache-2.0
#
# Traffic through each kind of Service. Three pods with both families; Services with addresses written down, so that the
# tests can name them.
from agent import CLUSTER_IPS
from checks import wait_until
from objects import DNS, affinity, external_name, pod, service

V1 = {"set": "v1"}
ALL = ("10.244.1.11:80", "10.244.1.12:80", "10.244.1.13:80")


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12), pod("pod-3", 13))
    lab.write_common_services()
    lab.agent.restart(*CLUSTER_IPS)


def evenly(place, url):
    """Twelve requests, four to each pod."""
    answers = place.tally(url, 12)
    assert answers == {"pod-1": 4, "pod-2": 4, "pod-3": 4}, answers


def answered_by_all(place, url):
    """How often by each is the scheduler's affair."""
    answers = place.tally(url, 12)
    assert len(answers) == 3, answers


def case_the_cluster_ip_spreads_over_all_ready_pods_for_a_pod_and_for_the_host(lab):
    evenly(lab["pod-1"], "http://10.96.1.1")
    evenly(lab.node, "http://10.96.1.1")


def case_a_node_port_answers_at_each_address_of_the_node(lab):
    for address in ("203.0.113.1", "203.0.113.3", "[fd00:203::1]"):
        answered_by_all(lab.outside, f"http://{address}:30080")
    for address in ("10.244.1.1", "203.0.113.1"):
        answered_by_all(lab["pod-1"], f"http://{address}:30080")
    answered_by_all(lab.node, "http://203.0.113.1:30080")


def case_an_allocated_node_port_answers_from_outside(lab):
    ports = [server.removeprefix("TCP 203.0.113.1:") for server in lab.virtual_servers()
             if server.startswith("TCP 203.0.113.1:3") and not server.endswith(":30080")]
    answered_by_all(lab.outside, f"http://203.0.113.1:{ports[0]}")


def case_a_load_balancer_ip_answers_from_outside(lab):
    answered_by_all(lab.outside, "http://192.0.2.10")


def case_an_external_ip_answers_from_outside(lab):
    answered_by_all(lab.outside, "http://192.0.2.20")


def case_a_named_target_port_is_the_one_that_each_pod_gives_that_name(lab):
    ported = {"app": "ported"}
    lab.add_pod("other-port", 18, http_port=8080)
    lab.write("case-pod.yaml", pod("other-port", 18, ported, port=8080))
    lab.write("case.yaml", service("ported", "10.96.2.1", ported))
    wait_until("the endpoint is there", 30, lambda: lab.leads_to("TCP 10.96.2.1:80", "10.244.1.18:8080"))
    assert lab.node.get("http://10.96.2.1").strip() == "other-port"
    lab.remove_pod("other-port")


def case_headless_and_external_name_services_program_nothing(lab):
    servers = [server for server in lab.virtual_servers() if " 10.96.1." in server]
    # Four Services, of which one has two ports.
    assert len(servers) == 5, servers


def case_a_change_to_external_name_deletes_the_virtual_servers_and_a_change_back_restores_them(lab):
    lab.write("case.yaml", service("turncoat", "10.96.2.2", V1))
    wait_until("it is served", 30, lambda: lab.has_server("TCP 10.96.2.2:80"))
    lab.write("case.yaml", external_name("turncoat"))
    wait_until("its virtual server is deleted", 30, lambda: not lab.has_server("TCP 10.96.2.2:80"))
    wait_until("so is its address", 10, lambda: not lab.has_address("10.96.2.2"))
    lab.write("case.yaml", service("turncoat", "10.96.2.2", V1))
    wait_until("it is served again", 30, lambda: lab.leads_to("TCP 10.96.2.2:80", *ALL))
    evenly(lab["pod-2"], "http://10.96.2.2")


def case_with_session_affinity_a_client_stays_with_one_pod(lab):
    lab.write("case.yaml", service("sticky", "10.96.2.3", V1, **affinity(600)))
    wait_until("it is served", 30, lambda: lab.leads_to("TCP 10.96.2.3:80", *ALL))
    assert len(lab["pod-1"].tally("http://10.96.2.3", 12)) == 1
    assert "10.96.2.3:80 rr persistent 600" in lab.ipvs_table()


def case_an_ipv6_cluster_ip_spreads_over_the_pods_ipv6_addresses(lab):
    for place in (lab["pod-1"], lab.node, lab.outside):
        evenly(place, "http://[fd00:10:96::11]")


def case_a_pod_reaches_itself_through_the_cluster_ip(lab):
    lab.write("case.yaml", service("mirror", "10.96.2.4", {"pod": "pod-1"}))
    wait_until("it is served", 30, lambda: lab.leads_to("TCP 10.96.2.4:80", ALL[0]))
    assert lab["pod-1"].tally("http://10.96.2.4", 5) == {"pod-1": 5}


def case_pods_see_each_others_addresses_through_a_cluster_ip(lab):
    answers = lab["pod-1"].tally("http://10.96.1.1", 3, "/client")
    # To itself a pod's address cannot be kept, because the answer would not pass the node.
    assert answers.pop("10.244.1.11") == 2, answers
    assert len(answers) == 1, answers


def case_external_traffic_policy_local_keeps_the_clients_address(lab):
    lab.write("case.yaml", service("local", "10.96.2.5", V1, type="NodePort", node_port=30085,
                                   externalTrafficPolicy="Local"))
    wait_until("it is served", 30, lambda: lab.leads_to("TCP 203.0.113.1:30085", *ALL))
    assert lab.outside.tally("http://203.0.113.1:30085", 3, "/client") == {"203.0.113.2": 3}
    assert lab.outside.tally("http://203.0.113.1:30080", 3, "/client") != {"203.0.113.2": 3}


def case_host_ports_are_closed_on_virtual_ips_and_open_on_the_nodes_addresses(lab):
    lab.serve("the-host", lab.node, http_port=2222)
    assert lab.outside.get("http://203.0.113.1:2222").strip() == "the-host"
    lab.outside.refused("http://192.0.2.10:2222")
    lab.outside.refused("http://10.96.1.1:2222")
    lab["pod-1"].refused("http://10.96.1.1:2222")
    lab.node.refused("http://10.96.1.1:2222")
    lab["pod-1"].refused("http://[fd00:10:96::11]:2222")
    lab.stop("the-host")


def case_a_virtual_ip_answers_ping(lab):
    lab["pod-1"].run("ping", "-c", "1", "-W", "5", "10.96.1.1")
    lab.outside.run("ping", "-c", "1", "-W", "5", "192.0.2.10")
    lab["pod-1"].run("ping", "-c", "1", "-W", "5", "fd00:10:96::11")


def case_a_service_without_endpoints_refuses_at_once(lab):
    lab.write("case.yaml", service("empty", "10.96.2.6", {"set": "none"}, type="NodePort", node_port=30086))
    wait_until("it is served", 30, lambda: lab.has_server("TCP 10.96.2.6:80"))
    wait_until("so is its address", 10, lambda: lab.node.succeeds("ping", "-c", "1", "-W", "1", "10.96.2.6"))
    lab["pod-1"].refused("http://10.96.2.6")
    lab.node.refused("http://10.96.2.6")
    lab.outside.refused("http://203.0.113.1:30086")


def case_a_pod_that_is_not_ready_is_left_out_unless_the_service_publishes_such_addresses(lab):
    moody = {"app": "moody"}
    lab.write("case.yaml", service("ready-only", "10.96.2.7", moody),
              service("all-of-them", "10.96.2.8", moody, publishNotReadyAddresses=True),
              pod("moody-1", 11, moody), pod("moody-2", 12, moody, ready=False))
    wait_until("the ready one is served", 30, lambda: lab.leads_to("TCP 10.96.2.7:80", ALL[0]))
    wait_until("both are served", 30, lambda: lab.leads_to("TCP 10.96.2.8:80", *ALL[:2]))


def case_a_udp_client_gets_answers_from_the_new_pod_as_soon_as_the_only_pod_is_replaced(lab):
    names = {"app": "names"}
    lab.write("case.yaml", service("names", "10.96.2.9", names, port=DNS))
    lab.write("case-pod.yaml", pod("names-1", 11, names, port=53))
    lab.served("10.96.2.9", 53, "10.244.1.11:53", protocol="UDP")
    # One socket for both questions: the same flow.
    udp = lab["pod-3"].udp_client("10.96.2.9", 53)
    answer = udp.ask()
    assert answer == "pod-1", answer
    lab.write("case-pod.yaml", pod("names-2", 12, names, port=53))
    lab.served("10.96.2.9", 53, "10.244.1.12:53", protocol="UDP")
    answer = udp.ask()
    assert answer == "pod-2", answer
    udp.close()
