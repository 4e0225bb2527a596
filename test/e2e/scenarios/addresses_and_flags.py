# SPDX-License-Identifier: Apache-2.0
#
# External IPs that are addresses of others, and what only a flag changes: addresses for node ports, other proxies,
# kube-proxy's traffic policies.
from checks import wait_until
from objects import load_balancer, node, pod, service
from two_nodes import AWAY, BOTH, POD_1, group_up, use_agent, write_nodes

V1 = {"set": "v1"}

# --- addresses that are others' --------------------------------------------------------------------------------------


def refused_so_far(lab):
    return lab.agent.metric("kube_ipvs_refused_addresses_total")


def is_refused(lab, before, address, owner):
    """Reported, counted, and not there. `before`: how many were counted until then."""
    text = f"{address} is {owner}: not served".replace(".", r"\.")
    wait_until("it is reported", 20, lambda: lab.agent.logged(f"{text}.*default/greedy"))
    lab.agent.finish_pass()
    assert refused_so_far(lab) == before + 1
    assert not lab.has_server(f"TCP {address}:80")
    assert not lab.has_address(address)
    assert not lab.set_has("external-ips-4", f"{address} . tcp . 80")


def greedy(lab, address):
    lab.write("case.yaml", service("greedy", "10.96.9.21", V1, externalIPs=["192.0.2.152", address]))


def case_an_external_ip_that_is_another_nodes_address_is_refused_and_that_node_stays_reachable(lab):
    use_agent(lab)
    before = refused_so_far(lab)
    greedy(lab, "172.20.0.2")
    lab.served("192.0.2.152", 80, *BOTH)
    is_refused(lab, before, "172.20.0.2", "the address of Node worker")
    lab.node.run("ping", "-q", "-c", "1", "-W", "5", "172.20.0.2")
    lab.outside.reaches("http://192.0.2.152", "pod-1", "pod-2")


def case_an_external_ip_that_is_this_nodes_default_gateway_is_refused_and_the_way_out_stays_open(lab):
    use_agent(lab)
    before = refused_so_far(lab)
    greedy(lab, "203.0.113.2")
    lab.served("192.0.2.152", 80, *BOTH)
    is_refused(lab, before, "203.0.113.2", "a gateway of this node")
    lab.node.run("ping", "-q", "-c", "1", "-W", "5", "203.0.113.2")
    lab.outside.reaches("http://192.0.2.152", "pod-1", "pod-2")


def case_an_external_ip_is_removed_when_a_node_with_it_is_added_and_returns_when_that_node_is_deleted(lab):
    url = "http://192.0.2.153"
    use_agent(lab)
    before = refused_so_far(lab)
    greedy(lab, "192.0.2.153")
    lab.served("192.0.2.153", 80, *BOTH)
    lab.outside.reaches(url, "pod-1", "pod-2")
    lab.write("case-node.yaml", node("late", "192.0.2.153"))
    wait_until("the address is deleted", 20, lambda: not lab.has_address("192.0.2.153"))
    is_refused(lab, before, "192.0.2.153", "the address of Node late")
    lab.outside.reaches("http://192.0.2.152", "pod-1", "pod-2")
    lab.remove("case-node.yaml")
    lab.served("192.0.2.153", 80, *BOTH)
    lab.outside.reaches(url, "pod-1", "pod-2")


def case_an_external_ip_that_another_program_holds_is_served_and_never_taken_from_it(lab):
    url, server = "http://192.0.2.154", "TCP 192.0.2.154:80"
    shared = service("shared", "10.96.9.22", V1, externalIPs=["192.0.2.154"])
    use_agent(lab)
    # As another program, for example keepalived, has it.
    lab.node.ip("link add others0 type dummy", "link set others0 up", "address add 192.0.2.154/32 dev others0")
    lab.write("case.yaml", shared)
    wait_until("it is served", 20, lambda: lab.leads_to(server, *BOTH))
    assert not lab.has_address("192.0.2.154")
    lab.outside.reaches(url, "pod-1", "pod-2")
    lab.remove("case.yaml")
    wait_until("the Service is deleted", 20, lambda: not lab.has_server(server))
    assert lab.has_address("192.0.2.154", interface="others0")
    lab.write("case.yaml", shared)
    wait_until("it is served", 20, lambda: lab.leads_to(server, *BOTH))
    lab.node.ip("link delete others0")
    wait_until("the agent has the address", 20, lambda: lab.has_address("192.0.2.154"))
    lab.outside.reaches(url, "pod-1", "pod-2")


# --- --nodeport-addresses --------------------------------------------------------------------------------------------


def case_node_ports_follow_the_addresses_that_are_added_and_removed_in_the_nodeport_networks_and_no_others(lab):
    use_agent(lab, "--nodeport-addresses", "203.0.113.3/32,198.18.0.0/24")
    lab.write("case.yaml", service("ported", "10.96.9.23", V1, type="NodePort", node_port=30147))
    lab.served("10.96.9.23", 80, *BOTH)
    assert lab.node_port_addresses(30147) == ["203.0.113.3"]
    lab.node.ip("link add later0 type dummy", "link set later0 up", "address add 198.19.0.1/24 dev later0",
                "address add 198.18.0.1/24 dev later0")
    wait_until("the one is served", 20, lambda: lab.has_server("TCP 198.18.0.1:30147"))
    lab.outside.reaches("http://198.18.0.1:30147", "pod-1", "pod-2")
    lab.outside.refused("http://198.19.0.1:30147")
    assert lab.node_port_addresses(30147) == ["198.18.0.1", "203.0.113.3"]
    lab.node.ip("link delete later0")
    wait_until("it is not served any more", 20, lambda: not lab.has_server("TCP 198.18.0.1:30147"))
    lab.outside.reaches("http://203.0.113.3:30147", "pod-1", "pod-2")


def case_the_primary_address_of_node_ports_follows_the_node_object(lab):
    use_agent(lab, "--nodeport-addresses", "primary")
    lab.write("case.yaml", service("ported", "10.96.9.24", V1, type="NodePort", node_port=30148))
    lab.served("10.96.9.24", 80, *BOTH)
    assert lab.node_port_addresses(30148) == ["172.20.0.1"]
    write_nodes(lab, "203.0.113.3")
    wait_until("the new one is served", 20, lambda: lab.has_server("TCP 203.0.113.3:30148"))
    lab.outside.reaches("http://203.0.113.3:30148", "pod-1", "pod-2")
    assert lab.node_port_addresses(30148) == ["203.0.113.3"]
    write_nodes(lab, "172.20.0.1")
    wait_until("the old one is back", 20, lambda: lab.has_server("TCP 172.20.0.1:30148"))


# --- --service-proxy-name --------------------------------------------------------------------------------------------


def proxied_by(name):
    return {"labels": {"service.kubernetes.io/service-proxy-name": name}}


# What ipvsadm makes stands for the other proxy.
def case_with_a_proxy_name_only_the_services_labelled_so_are_served_beside_another_proxys(lab):
    use_agent(lab, "--service-proxy-name", "ours")
    lab.node.run("ipvsadm", "-A", "-t", "198.51.100.8:80", "-s", "rr")
    lab.node.run("ipvsadm", "-a", "-t", "198.51.100.8:80", "-r", BOTH[1], "-m")
    lab.write("case.yaml", service("unlabelled", "10.96.9.25", V1),
              service("labelled", "10.96.9.26", V1, **proxied_by("another")),
              service("ours", "10.96.9.27", {"pod": "pod-1"}, **proxied_by("ours")))
    lab.served("10.96.9.27", 80, POD_1)
    lab["client"].reaches("http://10.96.9.27", "pod-1")
    assert not lab.has_server("TCP 10.96.9.25:80")
    assert not lab.has_server("TCP 10.96.9.26:80")
    lab.node.reaches("http://198.51.100.8", "pod-2")
    lab.node.run("ipvsadm", "-D", "-t", "198.51.100.8:80")


def case_a_service_is_served_while_its_label_names_this_proxy(lab):
    url, server = "http://10.96.9.28", "TCP 10.96.9.28:80"
    moving = dict(name="moving", cluster_ip="10.96.9.28", selector=V1, type="NodePort", node_port=30149)
    use_agent(lab, "--service-proxy-name", "ours")
    lab.write("case.yaml", service(**moving))
    wait_until("it is read", 20, lambda: lab.agent.logged('not ours to serve" service="default/moving"'))
    assert not lab.has_server(server)
    lab.write("case.yaml", service(**moving, **proxied_by("ours")))
    lab.served("10.96.9.28", 80, *BOTH)
    lab["client"].reaches(url, "pod-1", "pod-2")
    lab.outside.reaches("http://203.0.113.1:30149", "pod-1", "pod-2")
    lab.write("case.yaml", service(**moving, **proxied_by("another")))
    lab.not_served("10.96.9.28")
    lab.outside.refused("http://203.0.113.1:30149")
    # An agent without a name serves what has no label, and takes over what the one with the name had.
    lab.write("case.yaml", service(**moving, **proxied_by("ours")))
    lab.served("10.96.9.28", 80, *BOTH)
    use_agent(lab)
    assert not lab.has_server(server)
    assert not lab.has_address("10.96.9.28")
    lab.write("case.yaml", service(**moving))
    lab.served("10.96.9.28", 80, *BOTH)
    lab.outside.reaches("http://203.0.113.1:30149", "pod-1", "pod-2")


# --- --compat kube-proxy ---------------------------------------------------------------------------------------------


def internal_local(lab, selector, **more):
    lab.write("case.yaml", service("internal", "10.96.9.29", selector, internalTrafficPolicy="Local", **more))


def external_local(lab, selector):
    lab.write("case.yaml", load_balancer("external", "10.96.9.30", selector, ["192.0.2.156"], node_port=30151,
                                         externalTrafficPolicy="Local"))


EXTERNAL_URLS = ("http://192.0.2.156", "http://203.0.113.1:30151")
ON_BOTH_NODES = {"both": "any"}


def write_pods_on_both_nodes(lab):
    lab.write("case-pods.yaml", pod("any-1", 11, ON_BOTH_NODES), pod("any-2", "2.21", ON_BOTH_NODES))


def case_with_compat_kube_proxy_internal_policy_local_gives_an_exposed_service_without_a_pod_here_all_pods(lab):
    url = "http://10.96.9.29"
    use_agent(lab, "--compat", "kube-proxy")
    internal_local(lab, {"pod": "away"}, type="NodePort", node_port=30150)
    lab.served("10.96.9.29", 80, AWAY)
    lab["client"].reaches(url, "away")
    lab.node.reaches(url, "away")
    internal_local(lab, {"pod": "away"})
    wait_until("it is not exposed", 20, lambda: lab.leads_to("TCP 10.96.9.29:80"))
    lab["client"].refused(url)
    # Where there is one here it alone is asked.
    internal_local(lab, ON_BOTH_NODES, externalIPs=["192.0.2.155"])
    write_pods_on_both_nodes(lab)
    lab.served("192.0.2.155", 80, POD_1, AWAY)
    lab["client"].reaches(url, "pod-1")


def case_without_compat_internal_policy_local_refuses_an_exposed_service_without_a_pod_here(lab):
    url = "http://10.96.9.29"
    use_agent(lab)
    internal_local(lab, {"pod": "away"}, type="NodePort", node_port=30150)
    wait_until("it is served", 20, lambda: lab.leads_to("TCP 203.0.113.1:30150", AWAY))
    wait_until("its address is", 10, lambda: lab.has_address("10.96.9.29"))
    lab["client"].refused(url)
    lab.node.refused(url)
    lab.outside.reaches("http://203.0.113.1:30150", "away")


# The pod away sees the client's own address, and answers by this node only since its own has no other way.
def case_with_compat_kube_proxy_external_policy_local_without_a_pod_here_leads_to_all_pods_with_the_source_kept(lab):
    use_agent(lab, "--compat", "kube-proxy")
    external_local(lab, {"pod": "away"})
    lab.served("192.0.2.156", 80, AWAY)
    for url in EXTERNAL_URLS:
        lab.outside.reaches(url, "away")
        lab.outside.seen_as(url, "203.0.113.2")


def case_with_compat_kube_proxy_external_policy_local_gives_the_cluster_the_pods_here_too(lab):
    use_agent(lab, "--compat", "kube-proxy")
    external_local(lab, ON_BOTH_NODES)
    write_pods_on_both_nodes(lab)
    lab.served("192.0.2.156", 80, POD_1)
    for url in EXTERNAL_URLS:
        for name in ("outside", "client", "node"):
            lab[name].reaches(url, "pod-1")
    lab["client"].reaches("http://10.96.9.30", "away", "pod-1")


def case_without_compat_external_policy_local_without_a_pod_here_drops_the_outside_and_leads_the_cluster_to_all(lab):
    use_agent(lab)
    external_local(lab, {"pod": "away"})
    lab.served("10.96.9.30", 80, AWAY)
    wait_until("its address is", 10, lambda: lab.has_address("192.0.2.156"))
    for url in EXTERNAL_URLS:
        lab.outside.dropped(url)
        lab["client"].reaches(url, "away")
