# SPDX-License-Identifier: Apache-2.0
#
# Another firewall on the node: a FORWARD chain whose policy is DROP, as Docker and ufw leave it. Replies of
# endpoints to clients beyond the node pass it; requests do not.
from checks import matches, wait_until
from objects import load_balancer, pod

URL = "http://203.0.113.1:30091"
RULE = r"-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED .*kube-ipvs.* -j ACCEPT"


def group_up(lab):
    lab.add_pods(pod_1=11)
    lab.write("pods.yaml", pod("pod-1", 11))
    lab.write("services.yaml", load_balancer("web", "10.96.9.1", {"set": "v1"}, ["192.0.2.91"], node_port=30091))
    restart_agent(lab)


def restart_agent(lab, *flags):
    lab.agent.restart("--ipvs-sync-period", "2s", *flags)


def has_rule(lab):
    return matches(RULE, lab.node.run("iptables-nft", "-S", "FORWARD"))


def dropping_chains(lab):
    return lab.agent.metric("kube_ipvs_forward_dropping_chains")


def case_a_forward_chain_that_drops_is_reported_with_the_flag_that_helps_and_counted(lab):
    lab.outside.reaches(URL, "pod-1")
    assert dropping_chains(lab) == 0
    lab.node.run("iptables-nft", "-P", "FORWARD", "DROP")
    wait_until("it is reported", 10, lambda: lab.agent.logged("ip filter FORWARD drops .*--forward-accept"))
    assert dropping_chains(lab) == 1
    lab.outside.dropped(URL)
    assert not has_rule(lab)


def case_with_forward_accept_replies_pass_it_and_nothing_else_does(lab):
    restart_agent(lab, "--forward-accept")
    wait_until("the chain has the rule", 10, lambda: has_rule(lab))
    lab.outside.reaches(URL, "pod-1")
    lab.outside.reaches("http://192.0.2.91", "pod-1")
    assert dropping_chains(lab) == 0
    lab.outside.dropped("http://10.244.1.11:80")  # a new connection, not by a Service


def case_a_flushed_forward_chain_gets_the_rule_again_at_once(lab):
    lab.node.run("iptables-nft", "-F", "FORWARD")
    wait_until("the chain has the rule", 10, lambda: has_rule(lab))
    lab.outside.reaches(URL, "pod-1")


def case_a_forward_chain_of_iptables_legacy_is_reported_with_the_command_that_fixes_it(lab):
    lab.node.run("iptables-legacy", "-P", "FORWARD", "DROP")
    wait_until("it is reported", 10,
               lambda: lab.agent.logged("does not manage iptables-legacy: .iptables-legacy -I FORWARD"))
    assert dropping_chains(lab) == 1
    lab.outside.dropped(URL)
    lab.node.run("iptables-legacy", "-I", "FORWARD", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED",
                 "-j", "ACCEPT")
    lab.outside.reaches(URL, "pod-1")
    lab.node.run("iptables-legacy", "-F", "FORWARD")
    lab.node.run("iptables-legacy", "-P", "FORWARD", "ACCEPT")
    wait_until("no chain drops", 10, lambda: dropping_chains(lab) == 0)


def case_without_the_flag_the_rule_of_an_earlier_run_is_deleted(lab):
    restart_agent(lab)
    wait_until("it is deleted", 10, lambda: not has_rule(lab))
    assert dropping_chains(lab) == 1


def case_cleanup_deletes_the_rule_and_leaves_the_chain(lab):
    restart_agent(lab, "--forward-accept")
    wait_until("the chain has the rule", 10, lambda: has_rule(lab))
    lab.agent.stop()
    lab.agent.cleanup()
    assert not has_rule(lab)
    assert matches("^-P FORWARD DROP", lab.node.run("iptables-nft", "-S", "FORWARD"))
