# SPDX-License-Identifier: Apache-2.0
#
# What somebody else breaks in the kernel is repaired, and what one object breaks is broken for that object alone. Each
# test does the damage, then waits for traffic to work again and for the line that says what was found and done. The end
# of a name is the row of the list of faults.
import json
import re
import socket
import time
from contextlib import contextmanager

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show, wait_until
from objects import load_balancer, pod, service

V1 = {"set": "v1"}
VIP, VIP6 = "10.96.1.1", "fd00:10:96::11"
BOTH = ("10.244.1.11:80", "10.244.1.12:80")
# The audit is frequent, so that tests of what only the audit finds are short.
FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR, "--ipvs-sync-period", "1s", "--ipvs-tcp-timeout", "600s")
HEALTH_CHECK = 30198


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.write_common_services()
    lab.write("local.yaml", load_balancer("local", "10.96.1.90", V1, ["192.0.2.90"], node_port=30190,
                                          externalTrafficPolicy="Local", healthCheckNodePort=HEALTH_CHECK))
    lab.agent.restart(*FLAGS)
    traffic_works(lab)


def traffic_works(lab):
    """By a cluster IP, a node port and a load balancer's IP, in both families."""
    for name, url in (("pod-1", f"http://{VIP}"), ("pod-2", f"http://[{VIP6}]"), ("node", f"http://{VIP}"),
                      ("node", f"http://[{VIP6}]"), ("outside", "http://203.0.113.1:30080"),
                      ("outside", "http://[fd00:203::1]:30080"), ("outside", "http://192.0.2.10"),
                      ("outside", "http://192.0.2.90")):
        answer = lab[name].get(url, timeout=1).strip()
        assert answer.startswith("pod-"), f"{name} to {url}: {answer}"


@contextmanager
def repaired(lab, *lines, seconds=10):
    """After the damage, which is what is done inside, traffic works within that time and these lines are logged: soon,
    or in a count of lines that repeat, which follows within 20 s."""
    before = {line: lab.agent.times_logged(line) for line in lines}
    yield
    begin = time.monotonic()
    for line, count in before.items():
        wait_until(f"the agent says: {line}", seconds + 20, lambda: lab.agent.times_logged(line) > count)
    wait_until("traffic works", seconds, lambda: traffic_works(lab) or True)
    show(f"{time.monotonic() - begin:.1f} s until it was reported and each request had an answer")


DELETED = "deleted by somebody else: added again"


# --- the device and its addresses -------------------------------------------------------------------------------------


def case_a_deleted_kube_ipvs0_is_made_again_with_its_addresses_D1(lab):
    with repaired(lab, "kube-ipvs0 was deleted: made again",
                  "VIPs of kube-ipvs0 that somebody else deleted or added: .* and [0-9]+ more: put right"):
        lab.node.ip("link delete kube-ipvs0")


def case_a_kube_ipvs0_that_is_replaced_by_an_empty_one_gets_its_addresses_D1(lab):
    with repaired(lab, "kube-ipvs0 was (replaced by another dummy device: taken over|deleted: made again)",
                  "VIPs of kube-ipvs0 that somebody else .* more: put right"):
        lab.node.ip("link delete kube-ipvs0", "link add kube-ipvs0 type dummy")


def case_all_addresses_that_are_flushed_are_back_D3(lab):
    with repaired(lab, "VIPs of kube-ipvs0 that somebody else .* more: put right"):
        lab.node.run("ip", "address", "flush", "dev", "kube-ipvs0")


def case_one_address_that_is_deleted_is_back_D3(lab):
    lab.agent.restart(*FLAGS)  # so that these are no repairs "again and again"
    with repaired(lab, r"VIPs of kube-ipvs0 that somebody else deleted or added: 192\.0\.2\.10: put right"):
        lab.node.ip("address delete 192.0.2.10/32 dev kube-ipvs0")
    with repaired(lab, f"VIPs of kube-ipvs0 that somebody else deleted or added: {VIP6}: put right"):
        lab.node.ip(f"address delete {VIP6}/128 dev kube-ipvs0")


# --- IPVS -------------------------------------------------------------------------------------------------------------


def case_all_virtual_servers_that_are_cleared_are_back_with_their_destinations_D2(lab):
    with repaired(lab, f"and [0-9]+ more were {DELETED}"):
        lab.node.run("ipvsadm", "-C")
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    assert len(lab.virtual_servers()) == lab.agent.metric("kube_ipvs_desired_virtual_servers")


def case_one_virtual_server_that_is_deleted_is_back_D2(lab):
    with repaired(lab, rf"TCP 203\.0\.113\.1:30080 was {DELETED}"):
        lab.node.run("ipvsadm", "-D", "-t", "203.0.113.1:30080")


def case_the_virtual_servers_of_IPv6_alone_are_back_D2(lab):
    with repaired(lab, f"(and [0-9]+ more were|fd00.* was) {DELETED}"):
        for server in lab.virtual_servers():
            if "[" in server:
                lab.node.run("ipvsadm", "-D", "-t", server.removeprefix("TCP "))
    wait_until("all are back", 10,
               lambda: len(lab.virtual_servers()) == lab.agent.metric("kube_ipvs_desired_virtual_servers"))


def case_an_endpoint_of_a_virtual_server_that_was_deleted_brings_the_server_back_D2(lab):
    lab.agent.restart(*FLAGS, "--ipvs-sync-period", "60s")
    lab.write("case.yaml", service("grows", "10.96.1.91", {"pod": "pod-1"}))
    lab.served("10.96.1.91", 80, BOTH[0])
    with repaired(lab, rf"TCP 10\.96\.1\.91:80 was {DELETED}"):
        lab.node.run("ipvsadm", "-D", "-t", "10.96.1.91:80")
        lab.write("case.yaml", service("grows", "10.96.1.91", V1))
    lab["pod-1"].reaches("http://10.96.1.91", "pod-1", "pod-2")


def case_a_weight_that_was_set_by_hand_is_put_right_D2(lab):
    lab.agent.restart(*FLAGS)
    with repaired(lab, rf"the destinations of TCP {re.escape(VIP)}:80 were changed by somebody else: put right"):
        lab.node.run("ipvsadm", "-e", "-t", f"{VIP}:80", "-r", BOTH[0], "-m", "-w", "0")
    lab["pod-1"].reaches(f"http://{VIP}", "pod-1", "pod-2")


def case_a_scheduler_that_was_set_by_hand_is_put_right_D2(lab):
    with repaired(lab, rf"the settings of TCP {re.escape(VIP)}:80 were changed by somebody else: put right"):
        lab.node.run("ipvsadm", "-E", "-t", f"{VIP}:80", "-s", "sh")
    lab["pod-1"].reaches(f"http://{VIP}", "pod-1", "pod-2")


# --- nftables, sysctls, timeouts --------------------------------------------------------------------------------------


def case_a_flushed_nftables_ruleset_is_back_and_masquerades(lab):
    with repaired(lab, "the nftables table kube-ipvs was changed by somebody else: restored"):
        lab.node.run("nft", "flush", "ruleset")
    # A pod that reaches itself has an answer only if it is masqueraded.
    lab["pod-1"].reaches(f"http://{VIP}", "pod-1", "pod-2")


def case_sysctls_that_were_reset_are_put_right_D4(lab):
    names = ("vs/conntrack", "vs/expire_nodest_conn", "vs/expire_quiescent_template", "ip_forward")
    lines = [rf"sysctl net/ipv4/{name}: 0 -> 1: put right" for name in names]
    with repaired(lab, *lines):
        for name in names:
            lab.node.sysctl(f"ipv4/{name}", 0)


def case_timeouts_of_IPVS_that_were_changed_are_put_right_D4(lab):
    connection = lab["pod-2"].connect(VIP, 7)
    with repaired(lab, "timeouts of IPVS, in seconds: tcp 5 -> 600: put right"):
        lab.node.run("ipvsadm", "--set", "5", "0", "0")
    assert lab.node.run("ipvsadm", "-Ln", "--timeout").split(":")[1].split()[0] == "600"
    assert connection.works()


# --- one object's fault is that object's ------------------------------------------------------------------------------


def is_healthy(lab):
    for url in ("http://203.0.113.1:10256/healthz", "http://203.0.113.1:10256/livez",
                f"http://203.0.113.1:{HEALTH_CHECK}"):
        answer = lab.outside.fetch(url, timeout=3)
        assert answer.status == 200, f"{url}: {answer.status} {answer.body}"


def case_an_endpoint_that_the_kernel_refuses_costs_that_endpoint_and_the_node_is_healthy_A1(lab):
    # Nothing that the agent reads says that this is a broadcast address: the kernel's NEW_DEST does.
    lab.node.ip("route add broadcast 10.244.1.77 dev eth0 table local")
    lab.write("case.yaml", pod("refused", 77, {"set": "refused"}), pod("beside", 11, {"set": "refused"}),
              service("refused", "10.96.1.92", {"set": "refused"}), service("other", "10.96.1.93", V1))
    lab.served("10.96.1.93", 80, *BOTH)
    wait_until("it is reported", 10, lambda: lab.agent.logged(r"10\.244\.1\.77:80.*Invalid argument"))
    lab["pod-2"].reaches("http://10.96.1.92", "pod-1")
    lab["pod-2"].reaches("http://10.96.1.93", "pod-1", "pod-2")
    conditions = json.loads(lab.node.get("http://127.0.0.1:10249/conditions"))
    assert [each["errno"] for each in conditions["objects"]] == ["EINVAL"], conditions
    assert conditions["node"] == [], conditions
    is_healthy(lab)
    lab.node.ip("route delete broadcast 10.244.1.77 dev eth0 table local")


def case_the_broadcast_address_of_the_nodes_network_gets_no_traffic_and_the_others_do_A1(lab):
    refused = pod("broadcast", 78, {"set": "refused"})
    refused["status"] = {"podIP": "203.0.113.255", "podIPs": [{"ip": "203.0.113.255"}]}
    lab.write("case.yaml", refused, pod("beside", 11, {"set": "refused"}),
              service("refused", "10.96.1.94", {"set": "refused"}))
    lab.served("10.96.1.94", 80, BOTH[0])
    wait_until("it is reported", 10, lambda: lab.agent.logged(
        r"endpoint 203\.0\.113\.255 is the broadcast address .*: it gets no traffic"))
    lab["pod-2"].reaches("http://10.96.1.94", "pod-1")
    is_healthy(lab)


def case_half_open_clients_hold_no_health_port_A3(lab):
    for port in (10256, HEALTH_CHECK):
        with lab["pod-2"].namespace:
            for number in range(200):
                client = socket.create_connection(("203.0.113.1", port), timeout=5)
                lab.connections.append(client)
                if number % 2:
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        is_healthy(lab)


# --- the other binding: last, since the agent gets other flags --------------------------------------------------------


def case_with_routes_a_kube_ipvs0_that_was_set_down_is_up_again_with_its_routes_D1(lab):
    lab.agent.restart(*FLAGS, "--vip-binding", "route", "--bind-address", "203.0.113.1")
    with repaired(lab, "kube-ipvs0 was down: set up as before"):
        lab.node.ip("link set kube-ipvs0 down")
    # `ip` deletes one after the other, and the agent does not wait for the last.
    with repaired(lab, "VIPs of kube-ipvs0 that somebody else .*: put right"):
        lab.node.run("ip", "route", "flush", "table", "local", "dev", "kube-ipvs0")
    with repaired(lab, "kube-ipvs0 was deleted: made again"):
        lab.node.ip("link delete kube-ipvs0")
