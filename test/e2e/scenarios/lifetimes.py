# SPDX-License-Identifier: Apache-2.0
#
# What outlives an endpoint or a Service, and what does not: connections, counters, affinity, UDP flows.
import re

from checks import holds_for, wait_until
from objects import DNS, ECHO, affinity, dual_stack, external_name, load_balancer, pod, service
from two_nodes import BOTH, group_up, has_weights, splits, use_agent

# --- Services that are deleted ---------------------------------------------------------------------------------------


def connect_from_outside(lab, number, linger):
    """To the external IP 192.0.2.NUMBER of a Service 10.96.9.NUMBER. The Service, and the connection."""
    lingering = service("lingering", f"10.96.9.{number}", {"pod": "pod-1"}, port=ECHO,
                        annotations={"kube-ipvs.io/linger": linger}, externalIPs=[f"192.0.2.{number}"])
    lab.write("case.yaml", lingering)
    lab.served(f"192.0.2.{number}", 7, "10.244.1.11:7")
    return lingering, lab.outside.connect(f"192.0.2.{number}", 7)


def lingers(lab, number, connection):
    """Addresses, rules and the connection are there, and nothing new gets in."""
    address = f"192.0.2.{number}"
    wait_until("the endpoint drains", 20, lambda: has_weights(lab, f"TCP {address}:7", pod_1=0))
    assert lab.has_address(address)
    assert lab.set_has("external-ips-4", f"{address} . tcp . 7")
    lab.outside.refused(f"http://{address}:7")
    assert connection.works()


def is_deleted(lab, number, seconds):
    address = f"192.0.2.{number}"
    lab.not_served(address, 7, seconds)
    wait_until("so are its rules", 10, lambda: not lab.set_has("external-ips-4", f"{address} . tcp . 7"))
    # The cluster IP, which no connection came by.
    assert not lab.has_address(f"10.96.9.{number}")


def case_a_deleted_service_that_lingers_serves_only_its_open_connections_and_is_removed_after_the_last(lab):
    use_agent(lab)
    _, connection = connect_from_outside(lab, 142, "600")
    lab.remove("case.yaml")
    lingers(lab, 142, connection)
    holds_for(4, connection.works)
    connection.close()
    is_deleted(lab, 142, 60)


def case_a_deleted_service_that_lingers_is_removed_at_its_time_even_if_a_connection_is_open(lab):
    use_agent(lab)
    _, connection = connect_from_outside(lab, 143, "15")
    lab.remove("case.yaml")
    lingers(lab, 143, connection)
    is_deleted(lab, 143, 60)
    assert not connection.works(4)


def case_a_service_that_is_created_again_while_it_lingers_keeps_its_connections(lab):
    use_agent(lab)
    lingering, connection = connect_from_outside(lab, 144, "600")
    lab.remove("case.yaml")
    lingers(lab, 144, connection)
    lab.write("case.yaml", lingering)
    lab.served("192.0.2.144", 7, "10.244.1.11:7")
    holds_for(4, connection.works)


def case_a_deleted_service_without_linger_ends_its_connections_at_once(lab):
    use_agent(lab)
    _, connection = connect_from_outside(lab, 145, "wrong")
    lab.remove("case.yaml")
    is_deleted(lab, 145, 20)
    assert not connection.works(4)


def case_a_node_port_closes_when_its_service_becomes_external_name_and_opens_when_it_changes_back(lab):
    use_agent(lab)
    for _ in range(2):
        lab.write("case.yaml", service("turncoat", "10.96.9.12", {"set": "v1"}, type="NodePort", node_port=30142))
        lab.served("10.96.9.12", 80, *BOTH)
        lab.outside.reaches("http://203.0.113.1:30142", "pod-1", "pod-2")
        lab.write("case.yaml", external_name("turncoat"))
        wait_until("its node port is closed", 20, lambda: not lab.has_server("TCP 203.0.113.1:30142"))
        lab.outside.refused("http://203.0.113.1:30142")


# --- counters --------------------------------------------------------------------------------------------------------


def counted_pods(lab, **state_of_first):
    lab.write("case-pods.yaml", pod("counted-1", 16, {"app": "counted"}, **state_of_first),
              pod("counted-2", 17, {"app": "counted"}))


def counted_of_pod(lab, of_service, of_pod):
    return lab.agent.metric("kube_ipvs_endpoint_connections_total", service=of_service, pod=of_pod)


def counted_of_service(lab, of_service):
    return lab.agent.metric("kube_ipvs_service_connections_total", service=of_service)


# The kernel brings its counters up to date every two seconds.
def case_the_counters_of_an_endpoint_that_is_removed_and_returns_continue(lab):
    def is_counted(of_service, **of_pods):
        """`of_pods`: counted_1=5."""
        wait_until(f"{of_service} connections are counted", 20,
                   lambda: counted_of_service(lab, "counted") == of_service)
        for name, count in of_pods.items():
            wait_until(f"{count} of them are {name}'s", 20,
                       lambda: counted_of_pod(lab, "counted", name.replace("_", "-")) == count)

    use_agent(lab)
    counted_pods(lab)
    lab.write("case.yaml", service("counted", "10.96.9.13", {"app": "counted"},
                                   annotations={"kube-ipvs.io/drain-timeout": "0"}))
    lab.served("10.96.9.13", 80, "10.244.1.16:80", "10.244.1.17:80")
    lab["client"].tally("http://10.96.9.13", 10)
    is_counted(10, counted_1=5)
    counted_pods(lab, ready=False, since=-60)
    wait_until("the endpoint is deleted", 20, lambda: has_weights(lab, "TCP 10.96.9.13:80", fourth=1))
    splits(lab, "http://10.96.9.13", 4, fourth=4)
    is_counted(14, counted_2=9)
    counted_pods(lab)
    lab.served("10.96.9.13", 80, "10.244.1.16:80", "10.244.1.17:80")
    assert counted_of_pod(lab, "counted", "counted-1") == 5
    lab["client"].tally("http://10.96.9.13", 10)
    is_counted(24, counted_1=10, counted_2=14)


def case_the_counters_of_a_service_that_loses_an_address_and_gets_it_back_continue(lab):
    def is_counted(of_service, of_pod):
        return (counted_of_service(lab, "exposed"), counted_of_pod(lab, "exposed", "counted-1")) == (of_service, of_pod)

    url, fields = "http://192.0.2.146", dict(name="exposed", cluster_ip="10.96.9.14", selector={"app": "counted"})
    use_agent(lab)
    counted_pods(lab)
    lab.write("case.yaml", service(**fields, externalIPs=["192.0.2.146"]))
    lab.served("192.0.2.146", 80, "10.244.1.16:80", "10.244.1.17:80")
    lab.outside.reaches(url, "fourth", "third")
    splits(lab, "http://10.96.9.14", 4, third=2, fourth=2)
    wait_until("all are counted", 20, lambda: is_counted(10, 5))
    lab.write("case.yaml", service(**fields))
    wait_until("the address is deleted", 20, lambda: not lab.has_address("192.0.2.146"))
    assert is_counted(10, 5)
    lab.write("case.yaml", service(**fields, externalIPs=["192.0.2.146"]))
    lab.served("192.0.2.146", 80, "10.244.1.16:80", "10.244.1.17:80")
    assert counted_of_service(lab, "exposed") == 10
    lab.outside.reaches(url, "fourth", "third")
    wait_until("the count continues", 20, lambda: is_counted(16, 8))


# --- affinity --------------------------------------------------------------------------------------------------------

STICKY_URLS = ("http://10.96.9.15", "http://[fd00:10:96::915]", "http://192.0.2.147", "http://192.0.2.148",
               "http://203.0.113.1:30143", "http://[fd00:203::1]:30143")


def sticky_with_policy(lab, policy, **affinity_fields):
    """With all kinds of addresses."""
    lab.write("case.yaml", load_balancer("sticky", "10.96.9.15", {"app": "sticky"}, ["192.0.2.147"], node_port=30143,
                                         externalIPs=["192.0.2.148"], externalTrafficPolicy=policy,
                                         **dual_stack("10.96.9.15", "fd00:10:96::915"), **affinity_fields))


def sticky_pods(lab, *names):
    numbers = {"pod-1": 11, "pod-2": 12}
    lab.write("case-pods.yaml", *(pod(name.replace("pod", "sticky"), numbers[name], {"app": "sticky"})
                                  for name in names))


def affinity_is(lab, text):
    """Of all addresses: "persistent 600" or nothing."""
    lines = re.findall(r"(?:(?:10\.96\.9\.15|fd00:10:96::915\]|192\.0\.2\.14[78]):80|:30143) \w+ ?(.*?) *$",
                       lab.ipvs_table(), re.MULTILINE)
    return set(lines) == {text}


def case_affinity_is_switched_on_and_off_on_every_address_with_both_policies(lab):
    def is_off():
        wait_until("it is off", 20, lambda: affinity_is(lab, ""))
        for url in STICKY_URLS:
            lab.outside.reaches(url, "pod-1", "pod-2")

    use_agent(lab)
    sticky_pods(lab, "pod-1", "pod-2")
    for policy in ("Cluster", "Local"):
        sticky_with_policy(lab, policy)
        lab.served("192.0.2.148", 80, *BOTH)
        is_off()
        sticky_with_policy(lab, policy, **affinity(600))
        wait_until("it is on", 20, lambda: affinity_is(lab, "persistent 600"))
        for url in STICKY_URLS:
            lab.outside.one_pod(url, 8)
    sticky_with_policy(lab, "Cluster")
    is_off()


def case_affinity_to_a_pod_ends_with_the_pod_on_every_address(lab):
    use_agent(lab)
    sticky_pods(lab, "pod-1", "pod-2")
    sticky_with_policy(lab, "Cluster", **affinity(600))
    lab.served("192.0.2.148", 80, *BOTH)
    wait_until("affinity is on", 20, lambda: affinity_is(lab, "persistent 600"))
    for url in STICKY_URLS:
        first = lab.outside.one_pod(url, 8)
        second = "pod-2" if first == "pod-1" else "pod-1"
        sticky_pods(lab, second)
        wait_until(f"{first} is no endpoint", 20, lambda: not lab.leads_to("TCP 192.0.2.148:80", *BOTH))
        assert lab.outside.one_pod(url, 8) == second
        sticky_pods(lab, "pod-1", "pod-2")
        lab.served("192.0.2.148", 80, *BOTH)


# --- UDP flows -------------------------------------------------------------------------------------------------------


def dns_pod(lab, number):
    """The one pod is this one."""
    lab.write("case-pod.yaml", pod(f"dns-{number}", 10 + number, {"app": "dns"}, port=53))


def udp_served(lab, address, port, *destinations):
    lab.served(address, port, *destinations, protocol="UDP")


def case_udp_flows_to_a_service_that_is_deleted_are_forgotten(lab):
    ways = (("client", "10.96.9.16", 53), ("node", "10.96.9.16", 53), ("outside", "192.0.2.149", 53))
    dns = service("dns", "10.96.9.16", {"app": "dns"}, port=DNS, externalIPs=["192.0.2.149"])
    use_agent(lab)
    dns_pod(lab, 1)
    lab.write("case.yaml", dns)
    udp_served(lab, "192.0.2.149", 53, "10.244.1.11:53")
    lab.ask_each("pod-1", 4101, ways)
    assert lab.udp_flows("53", "10.244.1.11") == 3
    lab.remove("case.yaml")
    wait_until("the Service is deleted", 20, lambda: not lab.has_address("192.0.2.149"))
    wait_until("no flow leads to its pod", 5, lambda: lab.udp_flows("53", "10.244.1.11") == 0)
    dns_pod(lab, 2)
    lab.write("case.yaml", dns)
    udp_served(lab, "192.0.2.149", 53, "10.244.1.12:53")
    lab.ask_each("pod-2", 4101, ways)


def case_udp_flows_to_a_port_or_a_node_port_that_is_changed_are_forgotten(lab):
    dns = dict(name="dns", cluster_ip="10.96.9.17", selector={"app": "dns"}, type="NodePort")
    old = (("client", "10.96.9.17", 53), ("outside", "203.0.113.1", 30144))
    new = (("client", "10.96.9.17", 5300), ("outside", "203.0.113.1", 30145))
    use_agent(lab)
    dns_pod(lab, 1)
    lab.write("case.yaml", service(**dns, port=DNS, node_port=30144))
    udp_served(lab, "10.96.9.17", 53, "10.244.1.11:53")
    lab.ask_each("pod-1", 4102, old)
    assert lab.udp_flows("(53|30144)", "10.244.1.11") == 2
    lab.write("case.yaml", service(**dns, port={**DNS, "port": 5300, "targetPort": 53}, node_port=30145))
    udp_served(lab, "10.96.9.17", 5300, "10.244.1.11:53")
    wait_until("no flow to the old ports is left", 5, lambda: lab.udp_flows("(53|30144)", "10.244.1.11") == 0)
    lab.ask_each("nothing", 4102, old)
    lab.ask_each("pod-1", 4102, new)


def case_a_udp_client_with_a_fixed_source_port_follows_a_changed_target_port(lab):
    dns, way = dict(name="dns", cluster_ip="10.96.9.18", selector={"app": "dns"}), ("client", "10.96.9.18", 53)
    use_agent(lab)
    dns_pod(lab, 1)
    lab.write("case.yaml", service(**dns, port={**DNS, "targetPort": 54}))
    udp_served(lab, "10.96.9.18", 53, "10.244.1.11:54")
    lab.ask_each("nothing", 4103, [way])
    lab.write("case.yaml", service(**dns, port=DNS))
    udp_served(lab, "10.96.9.18", 53, "10.244.1.11:53")
    wait_until("no flow to the old port is left", 5, lambda: lab.udp_flows("53", "10.244.1.11 .*sport=54") == 0)
    lab.ask_each("pod-1", 4103, [way])


def case_udp_clients_follow_their_pod_in_both_families_and_with_both_policies_local(lab):
    ways = (("client", "10.96.9.19", 53), ("client", "fd00:10:96::919", 53),
            ("outside", "192.0.2.150", 53), ("outside", "fd00:192::150", 53),
            ("outside", "203.0.113.1", 30146), ("outside", "fd00:203::1", 30146))
    use_agent(lab)
    lab.write("case.yaml", load_balancer("dns", "10.96.9.19", {"app": "dns"}, ["192.0.2.150", "fd00:192::150"],
                                         port=DNS, node_port=30146, internalTrafficPolicy="Local",
                                         externalTrafficPolicy="Local", **dual_stack("10.96.9.19", "fd00:10:96::919")))
    dns_pod(lab, 1)
    udp_served(lab, "[fd00:192::150]", 53, "[fd00:244::11]:53")
    lab.ask_each("pod-1", 4104, ways)
    dns_pod(lab, 2)
    udp_served(lab, "[fd00:192::150]", 53, "[fd00:244::12]:53")
    wait_until("no flow leads to the old one", 5, lambda: lab.udp_flows("(53|30146)", "10.244.1.11") == 0)
    lab.ask_each("pod-2", 4104, ways)
