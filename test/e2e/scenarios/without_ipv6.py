# SPDX-License-Identifier: Apache-2.0
#
# A node that was booted with ipv6.disable=1, in a cluster with both families.
import json

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import holds_for, wait_until
from objects import dual_stack, load_balancer, pod, service

V1 = {"set": "v1"}
BOTH = ("10.244.1.11:80", "10.244.1.12:80")
HEALTH_CHECK = 30198


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.write("services.yaml",
              service("both", "10.96.1.1", V1, node_port=30080, type="NodePort",
                      **dual_stack("10.96.1.1", "fd00:10:96::11")),
              load_balancer("local", "10.96.1.2", V1, ["192.0.2.10", "fd00:192::10"], node_port=30190,
                            externalTrafficPolicy="Local", healthCheckNodePort=HEALTH_CHECK))
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR, "--ipvs-sync-period", "1s")


def is_healthy(lab):
    for port, path in ((10256, "/healthz"), (10256, "/livez"), (HEALTH_CHECK, "/")):
        answer = lab.outside.fetch(f"http://203.0.113.1:{port}{path}", timeout=3)
        assert answer.status == 200, f"{port}{path}: {answer.status} {answer.body}"
    return True


def conditions(lab):
    return json.loads(lab.node.get("http://127.0.0.1:10249/conditions"))


def case_a_node_without_IPv6_serves_IPv4_says_so_once_and_is_healthy_A2(lab):
    for name, url in (("pod-1", "http://10.96.1.1"), ("node", "http://10.96.1.1"),
                      ("outside", "http://203.0.113.1:30080"), ("outside", "http://192.0.2.10")):
        lab[name].reaches(url, "pod-1", "pod-2")
    holds_for(3, lambda: is_healthy(lab))
    assert lab.agent.times_logged("Services are served in IPv4 only.*the kernel has no IPv6") == 1
    assert lab.agent.times_logged("Address family not supported") == 0
    assert lab.agent.times_logged("fd00:.*not served") == 0, "one line about the host is enough"
    assert conditions(lab) == {"node": [], "objects": []}


def case_a_service_of_IPv6_alone_is_reported_on_a_node_without_it_and_costs_nothing_else_A2(lab):
    lab.write("case.yaml", service("six", "fd00:10:96::12", V1, ipFamilies=["IPv6"], clusterIPs=["fd00:10:96::12"]))
    wait_until("it is reported", 10, lambda: lab.agent.logged(
        r"fd00:10:96::12 is an IPv6 address, and the kernel has no IPv6 .*: not served.*default/six"))
    objects = conditions(lab)["objects"]
    assert [each["object"] for each in objects] == ["Service default/six"], objects
    is_healthy(lab)
    lab.write("case.yaml", service("six", "10.96.1.12", V1))
    lab.served("10.96.1.12", 80, *BOTH)
    lab["pod-1"].reaches("http://10.96.1.12", "pod-1", "pod-2")
    wait_until("it is no condition any more", 10, lambda: conditions(lab)["objects"] == [])


def case_what_is_broken_is_repaired_on_a_node_without_IPv6_A2(lab):
    for damage in (("ipvsadm", "-C"), ("nft", "flush", "ruleset"), ("ip", "link", "delete", "kube-ipvs0")):
        before = len(lab.agent.log_text().splitlines())
        lab.node.run(*damage)
        wait_until("it is reported", 10, lambda: len(lab.agent.log_text().splitlines()) > before)
        wait_until("all is there", 10, lambda: lab.leads_to("TCP 10.96.1.1:80", *BOTH) and lab.has_address("10.96.1.1"))
        lab["pod-1"].reaches("http://10.96.1.1", "pod-1", "pod-2")
        lab.outside.reaches("http://192.0.2.10", "pod-1", "pod-2")


def case_a_restart_and_a_cleanup_work_on_a_node_without_IPv6_A2(lab):
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)
    assert lab.agent.logged("Table complete.* operations=0 ")
    lab.agent.stop()
    lab.agent.cleanup()
    assert not lab.has_device()
    assert not lab.virtual_servers()
