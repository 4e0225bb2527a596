# SPDX-License-Identifier: Apache-2.0
#
# What is ours is put back when others change it, and is deleted by --cleanup; what is not ours is never touched.
import os
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
    assert lab.agent.logged("foreign=2")


def case_a_service_whose_address_is_a_foreign_virtual_server_is_reported_and_the_foreign_one_stays(lab):
    lab.write("case.yaml", service("greedy", "10.96.2.2", V1, externalIPs=["198.51.100.7"]))
    wait_until("its own address is served", 30, lambda: lab.has_server("TCP 10.96.2.2:80"))
    wait_until("the conflict is reported", 10, lambda: lab.agent.logged("198.51.100.7:80 is taken.*greedy"))
    foreign_things_are_untouched(lab)


def case_of_two_services_with_one_external_ip_and_port_the_older_has_it_and_the_other_is_reported_and_takes_over(lab):
    first = service("first", "10.96.2.3", {"pod": "pod-1"}, created="2026-01-01T00:00:00Z", externalIPs=["192.0.2.30"])
    second = service("second", "10.96.2.4", {"pod": "pod-2"}, created="2026-02-01T00:00:00Z",
                     externalIPs=["192.0.2.30"])
    lab.write("case.yaml", first, second)
    wait_until("the older has it", 30, lambda: lab.leads_to("TCP 192.0.2.30:80", BOTH[0]))
    wait_until("the conflict is reported", 10,
               lambda: lab.agent.logged('TCP 192.0.2.30:80 is taken by Service default/first.* service="default/second"'))
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
    wait_until("it is reported", 5, lambda: lab.agent.logged(f"{VIP}:80 was deleted by somebody else"))


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
    wait_until("the second waits", 20, lambda: said(rf"runs here already: waiting .*\(?process {first}"))
    restored = lab.agent.times_logged("was changed by somebody else")
    with lab.node.namespace:
        refused = subprocess.run([lab.agent.program, "--cleanup"], text=True, capture_output=True, timeout=60)
    assert refused.returncode == 1 and f"process {first}" in refused.stderr, refused
    assert not said("Table complete")
    lab.start("third", lab.node, f"{lab.directory}/third.log", lab.agent.program, "--manifests", lab.manifests)
    wait_until("a third waits, too", 20, lambda: "waiting" in open(f"{lab.directory}/third.log").read())
    lab.stop("third")  # SIGTERM ends the wait
    assert lab.agent.times_logged("was changed by somebody else") == restored
    lab.agent.kill()
    wait_until("the second takes over", 30, lambda: said("Table complete"))
    answered_by_a_pod(lab.outside, "http://203.0.113.1:30080")
    lab.stop("second")
    lab.agent.restart(*FLAGS)


def add_server(lab, server, destination, weight=1):
    """As ipvsadm does it for people, for keepalived and, with weight 1, as kube-proxy does it."""
    lab.node.run("ipvsadm", "-A", "-t", server, "-s", "rr")
    lab.node.run("ipvsadm", "-a", "-t", server, "-r", destination, "-m", "-w", str(weight))


def delete_servers(lab, *servers):
    for server in servers:
        lab.node.run("ipvsadm", "-D", "-t", server)


def case_a_virtual_server_that_kube_proxy_left_at_a_node_port_is_taken_over_C1(lab):
    lab.agent.stop()
    add_server(lab, "203.0.113.1:30085", "10.244.1.99:80")
    lab.agent.restart(*FLAGS)
    assert lab.weights("TCP 203.0.113.1:30085") == {"10.244.1.99:80": 1}  # no Service wants it
    lab.write("case.yaml", service("kept", "10.96.2.5", V1, node_port=30085, type="NodePort"))
    wait_until("it leads to the pods", 30, lambda: lab.leads_to("TCP 203.0.113.1:30085", *BOTH))
    answered_by_a_pod(lab.outside, "http://203.0.113.1:30085")
    assert lab.agent.logged('TCP 203.0.113.1:30085 was left .*: taken over" service="default/kept"')
    assert lab.agent.metric("kube_ipvs_taken_over_virtual_servers_total") == 1
    lab.remove("case.yaml")
    wait_until("it is ours to delete", 30, lambda: not lab.has_server("TCP 203.0.113.1:30085"))


def case_what_another_program_has_at_a_node_port_is_no_leftover_of_kube_proxy_C1(lab):
    lab.agent.stop()
    add_server(lab, "203.0.113.1:30086", "10.244.1.99:80", weight=7)
    lab.write("case.yaml", service("taken", "10.96.2.6", V1, node_port=30086, type="NodePort"))
    lab.agent.restart(*FLAGS)
    wait_until("the conflict is reported", 10, lambda: lab.agent.logged("TCP 203.0.113.1:30086 is taken.*taken"))
    assert lab.leads_to("TCP 203.0.113.3:30086", *BOTH)
    assert lab.weights("TCP 203.0.113.1:30086") == {"10.244.1.99:80": 7}
    delete_servers(lab, "203.0.113.1:30086")
    wait_until("when it is gone the Service is served there", 30,
               lambda: lab.leads_to("TCP 203.0.113.1:30086", *BOTH))


KUBE_PROXY_CHAINS = """\
table ip filter {
  chain INPUT { type filter hook input priority 0; jump KUBE-IPVS-FILTER; jump KUBE-FIREWALL; }
  chain KUBE-IPVS-FILTER { ip daddr 10.96.2.7 ct state new reject; }
  chain KUBE-FIREWALL { }
}
"""


def case_chains_that_kube_proxy_left_are_reported_or_deleted_as_asked_C2(lab):
    lab.agent.stop()  # it would delete them, too
    lab.node.run("nft", "-f", "-", input=KUBE_PROXY_CHAINS.replace("{ ip", "{\n ip").replace("jump", "\n jump"))
    lab.write("case.yaml", service("refused", "10.96.2.7", V1))
    lab.agent.restart(*FLAGS, "--takeover=report")
    wait_until("they are reported", 10, lambda: lab.agent.logged("kube-proxy has left chains in ip filter: "
                                                                 "KUBE-IPVS-FILTER; .*--takeover=auto deletes them"))
    wait_until("they are counted", 5, lambda: lab.agent.metric("kube_ipvs_kube_proxy_chains") == 1)
    with lab.explained.left_out():  # kube-proxy's chain refuses
        assert lab["pod-1"].refused("http://10.96.2.7")
    lab.agent.restart(*FLAGS)
    wait_until("they are deleted", 10, lambda: lab.agent.logged("ip filter: deleted KUBE-IPVS-FILTER"))
    answered_by_a_pod(lab["pod-1"], "http://10.96.2.7")
    rest = lab.node.run("nft", "list", "table", "ip", "filter")
    assert "KUBE-IPVS-FILTER" not in rest and "KUBE-FIREWALL" in rest, rest  # the kubelet's stays
    lab.node.run("nft", "delete", "table", "ip", "filter")
    lab.agent.restart(*FLAGS)


def case_legacy_chains_that_kube_proxy_left_are_deleted_by_the_programs_of_iptables_C2(lab):
    lab.agent.stop()
    lab.node.run("iptables-legacy", "-t", "nat", "-N", "KUBE-SERVICES")
    lab.node.run("ip6tables-legacy", "-N", "KUBE-IPVS-FILTER")
    lab.agent.restart(*FLAGS)
    wait_until("those of IPv4 are deleted", 20,
               lambda: lab.agent.logged("iptables-legacy nat: deleted KUBE-SERVICES"))
    wait_until("those of IPv6 are deleted", 20,
               lambda: lab.agent.logged("ip6tables-legacy filter: deleted KUBE-IPVS-FILTER"))
    assert "KUBE" not in lab.node.run("ip6tables-legacy-save", "-t", "filter")
    assert "KUBE" not in lab.node.run("iptables-legacy-save", "-t", "nat")
    lab.agent.restart(*FLAGS)


def case_what_is_ours_is_known_after_the_ruleset_was_flushed_while_the_agent_was_stopped_C3(lab):
    lab.write("case.yaml", service("passing", "10.96.2.8", V1, node_port=30088, type="NodePort"))
    wait_until("a Service comes", 30, lambda: lab.has_server("TCP 203.0.113.3:30088"))
    lab.agent.kill()
    others = lab.node.run("nft", "--stateless", "list", "table", "inet", "others")
    lab.node.run("nft", "flush", "ruleset")
    lab.node.run("nft", "-f", "-", input=others)
    lab.remove("case.yaml")
    lab.agent.restart(*FLAGS)
    wait_until("nothing of ours is foreign", 5, lambda: lab.agent.logged("foreign=2"))
    assert not lab.has_server("TCP 203.0.113.3:30088"), "it was ours, and no Service wants it"
    assert lab.leads_to("TCP 203.0.113.1:30080", *BOTH)


def record_file(lab):
    number = os.stat(lab.node.namespace.path).st_ino
    return f"/run/kube-ipvs/servers-{number}"


def case_what_is_ours_is_known_from_the_table_when_the_record_is_lost_or_bad_C3(lab):
    record = record_file(lab)
    for damage in ("lost", "garbage", "a directory"):
        lab.agent.stop()
        os.remove(record)
        if damage == "garbage":
            with open(record, "wb") as file:
                file.write(os.urandom(1000))
        if damage == "a directory":
            os.mkdir(record)
        lab.agent.restart(*FLAGS)
        wait_until("nothing of ours is foreign", 5, lambda: lab.agent.logged("foreign=2"))
        assert lab.leads_to("TCP 203.0.113.1:30080", *BOTH)
        if damage == "a directory":
            assert lab.agent.logged("writing .*, the record of which virtual servers are ours: Is a directory")
            os.rmdir(record)
            wait_until("the record is written again", 20, lambda: os.path.isfile(record))
    foreign_things_are_untouched(lab)


def case_a_record_that_is_deleted_while_the_agent_runs_is_written_again_C3(lab):
    os.remove(record_file(lab))
    wait_until("it is there again", 20, lambda: os.path.isfile(record_file(lab)))
    with open(record_file(lab), encoding="ascii") as file:
        assert "+TCP 203.0.113.1 30080\n" in file.read()


def case_virtual_servers_of_others_beside_ours_are_left_alone_C4(lab):
    wanted = service("beside", "10.96.2.9", V1, node_port=30089, type="NodePort", externalIPs=["192.0.2.31"])
    lab.agent.stop()
    add_server(lab, "203.0.113.1:30089", "10.244.1.12:80", weight=3)
    lab.write("case.yaml", wanted)
    lab.agent.restart(*FLAGS)
    wait_until("ours come", 30, lambda: lab.has_server("TCP 203.0.113.3:30089") and lab.has_address("192.0.2.31"))
    add_server(lab, "192.0.2.31:8080", "10.244.1.12:80")
    others = ("TCP 203.0.113.1:30089", {"10.244.1.12:80": 3}), ("TCP 192.0.2.31:8080", {"10.244.1.12:80": 1})

    def untouched(when):
        for server, weights in others:
            assert lab.weights(server) == weights, f"{server} {when}: {lab.weights(server)}"

    lab.agent.restart(*FLAGS)
    untouched("after a restart")
    lab.agent.stop()
    lab.remove("case.yaml")
    lab.agent.restart(*FLAGS)
    assert not lab.has_server("TCP 203.0.113.3:30089")
    untouched("after the Service was deleted")
    lab.agent.stop()
    lab.node.run("nft", "delete", "table", "inet", "kube-ipvs")
    lab.agent.cleanup()
    untouched("after --cleanup without a table")
    delete_servers(lab, "203.0.113.1:30089", "192.0.2.31:8080")
    table = lab.ipvs_table()
    assert len(re.findall("^(?:TCP|UDP|FWM)", table, re.MULTILINE)) == 2, table
    assert not os.path.exists(record_file(lab))
    lab.agent.restart(*FLAGS)


def sysctls(lab):
    names = ("net.ipv4.vs.conntrack", "net.ipv4.vs.expire_nodest_conn", "net.ipv4.conf.all.arp_ignore")
    return [lab.node.run("sysctl", "-n", name).strip() for name in names]


def case_a_plan_says_what_a_start_would_change_and_changes_nothing(lab):
    assert lab.agent.plan(*FLAGS) == ["no difference"]
    lab.agent.stop()
    lab.node.run("ipvsadm", "-e", "-t", f"{VIP}:80", "-r", BOTH[0], "-m", "-w", "7")
    lab.node.run("ipvsadm", "-E", "-t", f"{VIP}:80", "-s", "lc")
    before = lab.ipvs_table()
    lines = lab.agent.plan(*FLAGS)
    print("\n".join(lines))
    assert lines[0].startswith(f"TCP {VIP}:80 (Service default/"), lines
    assert lines[1:] == ["  scheduler lc -> rr", f"  endpoint {BOTH[0]}: weight 7 -> 1"], lines
    assert lab.ipvs_table() == before
    lab.agent.restart(*FLAGS)
    assert lab.agent.plan(*FLAGS) == ["no difference"]


def case_cleanup_says_first_what_it_will_do_and_restores_every_sysctl(lab):
    lab.agent.stop()
    lab.agent.cleanup()
    before = sysctls(lab)
    assert before == ["0", "0", "0"], before
    lab.agent.restart(*FLAGS, "--ipvs-strict-arp", "--ipvs-tcp-timeout=600s")
    assert sysctls(lab) == ["1", "1", "1"]
    lab.agent.stop()
    would = lab.agent.cleanup("--dry-run")
    assert sysctls(lab) == ["1", "1", "1"]
    assert lab.has_server(f"TCP {VIP}:80")
    did = lab.agent.cleanup()
    print("\n".join(did))
    assert [re.sub("^would (remove|restore)", r"\1d", line) for line in would] == did
    assert sysctls(lab) == before
    assert "restored the timeouts of IPVS: 600 120 300 -> 900 120 300" in did, did
    assert lab.agent.cleanup() == ["nothing of kube-ipvs is here"]
    lab.agent.restart(*FLAGS)


def case_a_handover_leaves_what_kube_proxy_takes_over(lab):
    servers = lab.ipvs_table()
    lab.agent.stop()
    would = lab.agent.cleanup("--handover", "--dry-run")
    assert lab.node.succeeds("nft", "list", "table", "inet", "kube-ipvs")
    did = lab.agent.cleanup("--handover")
    print("\n".join(would + did))
    assert [line.replace("would leave", "left") for line in would] == did
    assert len(did) == 1, did
    assert "chain postrouting" in lab.node.run("nft", "list", "table", "inet", "kube-ipvs")
    assert lab.ipvs_table() == servers
    assert lab.has_address(VIP)
    assert sysctls(lab)[0] == "1"
    assert not os.path.exists(record_file(lab))
    foreign_things_are_untouched(lab)
    lab.agent.restart(*FLAGS)
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)


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
