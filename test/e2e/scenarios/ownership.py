# SPDX-License-Identifier: Apache-2.0
#
# What is ours is put back when others change it, and is deleted by --cleanup; what is not ours is never touched.
import re
import subprocess

from agent import CLUSTER_IPS
from checks import wait_until
from objects import pod, service

VIP = "10.96.1.1"
V1 = {"set": "v1"}
BOTH = ("10.244.1.11:80", "10.244.1.12:80")
FLAGS = (*CLUSTER_IPS, "--ipvs-sync-period", "3s")


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.write_common_services()
    make_foreign_things(lab)
    lab.foreign = foreign_things(lab)
    lab.agent.restart(*FLAGS)


OTHERS_TABLE = """\
table inet others {
  set addresses { type ipv4_addr; elements = { 10.96.1.1, 198.51.100.7 } }
  chain output { type filter hook output priority 0; ip daddr @addresses counter; }
}
"""


def make_foreign_things(lab):
    """Others' work, there before the agent."""
    lab.node.run("ipvsadm", "-A", "-t", "198.51.100.7:80", "-s", "wrr")
    lab.node.run("ipvsadm", "-a", "-t", "198.51.100.7:80", "-r", "10.244.1.11:80", "-m", "-w", "7")
    lab.node.run("ipvsadm", "-A", "-f", "77", "-s", "sh")
    lab.node.ip("link add others0 type dummy", "address add 198.51.100.7/32 dev others0")
    lab.node.run("nft", "-f", "-", input=OTHERS_TABLE)


def foreign_things(lab):
    servers = re.findall(r"^(?:TCP +198\.51\.100\.7:80 |FWM +77).*\n(?:  ->.*\n)*", lab.ipvs_table(), re.MULTILINE)
    return [*servers,
            lab.node.run("ip", "-brief", "address", "show", "others0"),
            lab.node.run("nft", "--stateless", "list", "table", "inet", "others")]


def foreign_things_are_untouched(lab):
    now = foreign_things(lab)
    assert now == lab.foreign, f"{now}, before {lab.foreign}"


def case_foreign_virtual_servers_addresses_and_tables_are_left_alone(lab):
    lab.write("case.yaml", service("passing", "10.96.2.1", V1))
    wait_until("a Service comes", 30, lambda: lab.has_server("TCP 10.96.2.1:80"))
    lab.remove("case.yaml")
    wait_until("and is deleted", 30, lambda: not lab.has_server("TCP 10.96.2.1:80"))
    foreign_things_are_untouched(lab)
    assert lab.agent.logged("2 foreign")


def case_a_service_whose_address_is_a_foreign_virtual_server_is_reported_and_the_foreign_one_stays(lab):
    lab.write("case.yaml", service("greedy", "10.96.2.2", V1, externalIPs=["198.51.100.7"]))
    wait_until("its own address is served", 30, lambda: lab.has_server("TCP 10.96.2.2:80"))
    wait_until("the conflict is reported", 10, lambda: lab.agent.logged("greedy.*198.51.100.7:80 is taken"))
    foreign_things_are_untouched(lab)


def case_of_two_services_with_one_external_ip_and_port_the_older_has_it_and_the_other_is_reported_and_takes_over(lab):
    first = service("first", "10.96.2.3", {"pod": "pod-1"}, created="2026-01-01T00:00:00Z", externalIPs=["192.0.2.30"])
    second = service("second", "10.96.2.4", {"pod": "pod-2"}, created="2026-02-01T00:00:00Z",
                     externalIPs=["192.0.2.30"])
    lab.write("case.yaml", first, second)
    wait_until("the older has it", 30, lambda: lab.leads_to("TCP 192.0.2.30:80", BOTH[0]))
    wait_until("the conflict is reported", 10,
               lambda: lab.agent.logged("second: TCP 192.0.2.30:80 is taken by Service default/first"))
    lab.write("case.yaml", second)
    wait_until("the other succeeds it", 30, lambda: lab.leads_to("TCP 192.0.2.30:80", BOTH[1]))


def case_a_flushed_nftables_ruleset_is_restored_within_seconds(lab):
    others = lab.node.run("nft", "--stateless", "list", "table", "inet", "others")
    lab.node.run("nft", "flush", "ruleset")
    wait_until("the table is back", 5, lambda: lab.node.succeeds("nft", "list", "table", "inet", "kube-ipvs"))
    assert lab.set_has("cluster-ips-4", f"{VIP} . tcp . 80")
    wait_until("it is reported", 5, lambda: lab.agent.logged("nftables table kube-ipvs was changed by somebody else"))
    lab.node.run("nft", "-f", "-", input=others)


def case_an_element_deleted_from_our_set_is_restored(lab):
    lab.node.run("nft", "delete", "element", "inet", "kube-ipvs", "external-ips-4", "{ 192.0.2.10 . tcp . 80 }")
    wait_until("it is back", 5, lambda: lab.set_has("external-ips-4", "192.0.2.10 . tcp . 80"))


def answered_by_a_pod(place, url):
    answer = place.get(url).strip()
    assert answer.startswith("pod-"), answer


def case_an_address_deleted_from_kube_ipvs0_is_restored(lab):
    lab.node.run("ip", "address", "delete", "192.0.2.10/32", "dev", "kube-ipvs0")
    wait_until("it is back", 30, lambda: lab.has_address("192.0.2.10"))
    answered_by_a_pod(lab.outside, "http://192.0.2.10")


def case_a_virtual_server_deleted_by_somebody_else_is_restored_by_the_audit(lab):
    lab.node.run("ipvsadm", "-D", "-t", f"{VIP}:80")
    wait_until("it is back", 60, lambda: lab.leads_to(f"TCP {VIP}:80", *BOTH))
    wait_until("it is reported", 5, lambda: lab.agent.logged(f"{VIP}:80 was not as programmed"))


def case_a_destination_added_by_somebody_else_is_deleted_by_the_audit(lab):
    lab.node.run("ipvsadm", "-a", "-t", f"{VIP}:80", "-r", "10.244.1.99:80", "-m")
    wait_until("it is deleted", 60, lambda: lab.leads_to(f"TCP {VIP}:80", *BOTH))


def case_a_new_node_address_gets_the_node_ports_and_a_removed_one_loses_them(lab):
    lab.node.ip("address add 203.0.113.9/24 dev eth0")
    wait_until("it is served", 30, lambda: lab.has_server("TCP 203.0.113.9:30080"))
    answered_by_a_pod(lab.outside, "http://203.0.113.9:30080")
    lab.node.ip("address delete 203.0.113.9/24 dev eth0")
    wait_until("it is not served any more", 30, lambda: not lab.has_server("TCP 203.0.113.9:30080"))


def case_a_second_agent_says_which_process_runs_and_takes_over_when_it_ends_C5(lab):
    first, log = lab.processes["agent"], f"{lab.directory}/second.log"
    lab.start("second", lab.node, log, lab.agent.program, "--manifests", lab.manifests,
              "--hostname-override", "node", *FLAGS)
    said = lambda pattern: re.search(pattern, open(log, encoding="utf-8").read())
    wait_until("the second waits", 20, lambda: said(rf"runs here already \(process {first}\): waiting"))
    restored = lab.agent.times_logged("was changed by somebody else")
    with lab.node.namespace:
        refused = subprocess.run([lab.agent.program, "--cleanup"], text=True, capture_output=True, timeout=60)
    assert refused.returncode == 1 and f"process {first}" in refused.stderr, refused
    assert not said("table complete")
    assert lab.agent.times_logged("was changed by somebody else") == restored
    lab.agent.kill()
    wait_until("the second takes over", 30, lambda: said("table complete"))
    answered_by_a_pod(lab.outside, "http://203.0.113.1:30080")
    lab.stop("second")
    lab.agent.restart(*FLAGS)


def case_cleanup_leaves_nothing_of_ours_and_all_that_is_not(lab):
    lab.agent.stop()
    lab.agent.cleanup()
    assert not lab.has_device()
    assert not lab.node.succeeds("nft", "list", "table", "inet", "kube-ipvs")
    table = lab.ipvs_table()
    print(table)
    assert len(re.findall("^(?:TCP|UDP|FWM)", table, re.MULTILINE)) == 2
    foreign_things_are_untouched(lab)


def case_cleanup_again_finds_nothing_to_do_and_succeeds(lab):
    lab.agent.cleanup()


def case_after_a_cleanup_the_agent_starts_from_nothing(lab):
    lab.agent.restart(*FLAGS)
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    answered_by_a_pod(lab["pod-1"], f"http://{VIP}")
