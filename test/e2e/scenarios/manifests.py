# SPDX-License-Identifier: Apache-2.0
#
# Faulty manifests: one clear line each, and everything else continues.
import os

from agent import CLUSTER_IPS
from checks import wait_until
from objects import HTTP, pod, service

VIP = "10.96.1.1"
V1 = {"set": "v1"}
POD = "10.244.1.11:80"


def group_up(lab):
    lab.add_pods(pod_1=11)
    lab.write("pods.yaml", pod("pod-1", 11))
    lab.write_common_services()
    lab.agent.restart(*CLUSTER_IPS)


def reported(lab, pattern):
    """In one line of the log; what was served before still is."""
    wait_until(f"this is reported: {pattern}", 20, lambda: lab.agent.logged(pattern))
    assert lab.node.get(f"http://{VIP}").strip() == "pod-1"
    lab.agent.finish_pass()
    assert lab.agent.times_logged(pattern) == 1


def is_served(lab, address):
    wait_until(f"{address} is served", 20, lambda: lab.leads_to(f"TCP {address}:80", POD))


def beside_a_good_one(lab, faulty, address):
    """A good Service in the same file, after the faulty object: data, or the text of a document."""
    if isinstance(faulty, str):
        lab.write_text("case.yaml", faulty + lab.documents(service("beside", address, V1)))
    else:
        lab.write("case.yaml", faulty, service("beside", address, V1))
    is_served(lab, address)


def case_a_broken_document_is_named_with_file_and_line_and_the_last_good_state_stays(lab):
    lab.write("case.yaml", service("edited", "10.96.4.1", V1))
    is_served(lab, "10.96.4.1")
    lab.write_text("case.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: edited\nspec: [\n")
    reported(lab, "case.yaml:[0-9]+.*objects the file had before stay")
    assert lab.leads_to("TCP 10.96.4.1:80", POD)


def case_an_unknown_kind_is_named_and_skipped(lab):
    beside_a_good_one(lab, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n", "10.96.4.2")
    reported(lab, "case.yaml:1.*Deployment.* is not used here: skipped")


def case_an_invalid_address_is_named_with_its_field(lab):
    beside_a_good_one(lab, service("wrong-address", "10.96.4.333", V1), "10.96.4.3")
    reported(lab, "case.yaml:[0-9]+.*wrong-address: spec.clusterIPs?.*10.96.4.333")


def case_a_duplicate_port_is_named(lab):
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 80}]
    beside_a_good_one(lab, service("twice", "10.96.4.40", V1, ports=ports), "10.96.4.4")
    reported(lab, "case.yaml:[0-9]+.*twice: spec.ports")


def case_a_port_out_of_range_is_named(lab):
    beside_a_good_one(lab, service("far", "10.96.4.50", V1, port={**HTTP, "port": 80800}), "10.96.4.5")
    reported(lab, r"case.yaml:[0-9]+.*far: spec.ports\[0\].port")


def case_a_pod_without_an_address_is_named(lab):
    lost = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lost", "labels": V1}, "spec": {"containers": []}}
    beside_a_good_one(lab, lost, "10.96.4.6")
    reported(lab, "case.yaml:[0-9]+.*Pod default/lost: status.podIP: missing")


def case_a_service_whose_selector_matches_nothing_refuses_connections(lab):
    lab.write("case.yaml", service("nobody", "10.96.4.7", {"app": "nobody"}))
    wait_until("it is there", 20, lambda: lab.has_server("TCP 10.96.4.7:80"))
    reported(lab, "No endpoint is ready.*default/nobody")


def case_two_objects_with_one_name_are_reported_with_both_places(lab):
    beside_a_good_one(lab, service("node-port-auto", "10.96.4.8", V1), "10.96.4.9")
    reported(lab, "services.yaml:[0-9]+: Service default/node-port-auto is in .*case.yaml:[0-9]+ already: skipped")


def case_a_cluster_ip_that_two_services_request_is_reported(lab):
    beside_a_good_one(lab, service("thief", VIP, V1), "10.96.4.10")
    reported(lab, f"default/thief: spec.clusterIP: {VIP} belongs to .*default/cluster")


def case_a_file_that_is_not_text_is_reported_and_nothing_else_changes(lab):
    lab.write_text("case.yaml", b"\377" + os.urandom(4096))
    reported(lab, "case.yaml:1: not UTF-8 text: skipped")


def case_a_json_file_is_read_too(lab):
    lab.write_text("case.json", """\
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "json"},
 "spec": {"clusterIP": "10.96.4.11", "selector": {"set": "v1"}, "ports": [{"port": 80}]}}
""")
    is_served(lab, "10.96.4.11")


def case_a_manifest_directory_that_vanishes_leaves_the_table_and_is_read_again_when_it_is_back(lab):
    away = f"{lab.directory}/away"
    os.rename(lab.manifests, away)
    wait_until("it is reported", 20, lambda: lab.agent.logged("manifest directory .*: the last state stays"))
    assert lab.leads_to(f"TCP {VIP}:80", POD)
    os.rename(away, lab.manifests)
    lab.write("case.yaml", service("back", "10.96.4.12", V1))
    is_served(lab, "10.96.4.12")


def tcp_servers(lab):
    return sorted(line for line in lab.ipvs_table().splitlines() if line.startswith("TCP"))


def case_allocated_addresses_and_ports_are_the_same_after_a_restart(lab):
    wait_until("what other tests served is deleted", 20,
               lambda: not any(" 10.96.4." in server for server in lab.virtual_servers()))
    before = tcp_servers(lab)
    lab.agent.stop()
    lab.agent.cleanup()
    lab.agent.start(*CLUSTER_IPS)
    lab.agent.ready()
    after = tcp_servers(lab)
    assert before == after, f"{before}, then {after}"
