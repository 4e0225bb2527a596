# SPDX-License-Identifier: Apache-2.0
#
# A node where kube-proxy's ipvs mode ran: its virtual servers become ours, then its chains and ipsets go, and no user
# of the cluster notices. What others have beside it stays.
import os
import shutil

import kube_proxy
from checks import show, wait_until
from node_of_kube_proxy import (FLAGS, GONE, NODE, VIPS, Clients, everything, forget, group_up, is_ours, make_kube_proxys,
                                make_others, our_table, saved, say_who_made_it, write_pods)


def take_over(lab, backend):
    say_who_made_it()
    forget(lab)
    write_pods(lab)
    make_others(lab, backend)
    others = saved(lab, backend)
    make_kube_proxys(lab, backend)
    clients = Clients(lab)
    lab.agent.restart(*FLAGS)
    wait_until("the ipsets are deleted", 30, lambda: lab.agent.logged("kube-proxy's ipsets: deleted .*KUBE-LOOP-BACK"))
    wait_until("all of kube-proxy's is gone", 20, lambda: is_ours(lab))
    clients.check()
    now = saved(lab, backend)
    assert now == others, f"{set(others) ^ set(now)}"
    lines = [line for line in lab.agent.log_text().splitlines() if "kube-proxy" in line]
    for line in lines:
        show(line[line.find("kube-proxy"):][:200])
    before = everything(lab), our_table(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.finish_pass()
    for was, now in zip(before, (everything(lab), our_table(lab))):
        assert was == now, set(was) ^ set(now)
    assert not lab.agent.logged("taken over|: deleted KUBE-")
    assert lab.agent.logged("Table complete")


def case_where_ip_set_is_not_loaded_the_agent_does_not_load_it(lab):
    assert not os.path.exists("/sys/module/ip_set"), "no test before this one uses ipset"
    lab.agent.restart(*FLAGS)
    wait_until("it has looked", 10, lambda: lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 0)
    assert not os.path.exists("/sys/module/ip_set")


def case_a_node_of_kube_proxy_with_iptables_nft_is_taken_over_and_no_client_notices(lab):
    take_over(lab, "nft")


def case_a_node_of_kube_proxy_with_iptables_legacy_is_taken_over_and_no_client_notices(lab):
    take_over(lab, "legacy")


def case_with_takeover_report_nothing_of_kube_proxy_is_changed_and_all_of_it_reported(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    before = everything(lab)
    lab.agent.restart(*FLAGS, "--takeover=report")
    for pattern in ("TCP 10.96.3.1:80 is taken by a virtual server that kube-proxy left .--takeover=auto.*default/web",
                    "kube-proxy has left chains in ip nat: ", "kube-proxy has left chains in ip6 filter: ",
                    "kube-proxy has left ipsets: KUBE-6-CLUSTER-IP, "):
        wait_until(f"it reports: {pattern}", 10, lambda: lab.agent.logged(pattern))
    now = everything(lab)
    assert now == before, set(now) ^ set(before)
    for address in (*VIPS, GONE):
        assert lab.has_address(address), address
    assert lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 34
    assert lab.agent.metric("kube_ipvs_kube_proxy_chains") > 20


def case_with_takeover_off_nothing_is_said_but_in_metrics(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    lab.agent.restart(*FLAGS, "--takeover=off")
    wait_until("metrics count ipsets", 10, lambda: lab.agent.metric("kube_ipvs_kube_proxy_ipsets") == 34)
    assert not lab.agent.logged("kube-proxy has left")
    assert lab.has_address(GONE)


def case_while_a_kube_proxy_runs_it_is_named_and_its_chains_stay_until_it_ends(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    program = f"{lab.directory}/kube-proxy"
    shutil.copy("/bin/sleep", program)
    lab.start("kube-proxy", lab.node, f"{lab.directory}/kube-proxy.log", program, "1000")
    pid = lab.processes["kube-proxy"]
    lab.agent.restart(*FLAGS)
    wait_until("it is named", 10, lambda: lab.agent.logged(f"runs beside this agent .process {pid}: .*kube-proxy 1000"))
    assert lab.agent.metric("kube_ipvs_kube_proxy_running") == 1
    assert kube_proxy.names_left(lab.node, "nft")
    lab.stop("kube-proxy")
    wait_until("it is gone", 60, lambda: lab.agent.logged("kube-proxy does not seem to run here any more"))
    wait_until("all of kube-proxy's is gone", 20, lambda: is_ours(lab))
    assert lab.agent.times_logged("runs beside this agent") == 1


IPTABLES_MODE = """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-EXT-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-SEP-ABCDEFGHIJKLMNOP - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.3.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m tcp --dport 30301 -j KUBE-EXT-ABCDEFGHIJKLMNOP
-A KUBE-EXT-ABCDEFGHIJKLMNOP -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SVC-ABCDEFGHIJKLMNOP -j KUBE-SEP-ABCDEFGHIJKLMNOP
-A KUBE-SEP-ABCDEFGHIJKLMNOP -s 10.244.1.99/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-ABCDEFGHIJKLMNOP -p tcp -m tcp -j DNAT --to-destination 10.244.1.99:80
COMMIT
"""


def case_what_the_iptables_and_nftables_modes_left_is_deleted_too(lab):
    forget(lab)
    for backend in ("nft", "legacy"):
        lab.node.run(f"iptables-{backend}-restore", "--noflush", input=IPTABLES_MODE)
    for family in ("ip", "ip6"):
        lab.node.run("nft", "-f", "-", input=f"""
table {family} kube-proxy {{
  map service-ips {{ type inet_service : verdict; elements = {{ 80 : goto service-web }} }}
  chain service-web {{ counter drop; }}
  chain services {{ tcp dport vmap @service-ips; }}
  chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
}}
""")
    lab.agent.restart(*FLAGS)
    for table in ("ip nat", "iptables-legacy nat", "ip kube-proxy", "ip6 kube-proxy"):
        wait_until(f"{table} is cleared", 20, lambda: lab.agent.logged(f"kube-proxy's chains in {table}: deleted "))
    assert "kube-proxy" not in lab.node.run("nft", "list", "tables")
    for backend in ("nft", "legacy"):
        assert "KUBE-" not in lab.node.run(f"iptables-{backend}-save"), backend
    assert lab["pod-1"].get("http://10.96.3.1").startswith("pod-")


def case_where_a_forward_chain_drops_kube_forward_stays_until_another_rule_accepts(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    lab.node.run("iptables-nft", "-P", "FORWARD", "DROP")
    lab.agent.restart(*FLAGS)
    wait_until("it is reported", 20, lambda: lab.agent.logged("ip filter KUBE-FORWARD stays: .*--forward-accept"))
    assert lab.outside.get(f"http://{NODE[0]}:30301").startswith("pod-")
    lab.agent.restart(*FLAGS, "--forward-accept")
    wait_until("it is deleted", 20, lambda: lab.agent.logged("chains in ip filter: deleted KUBE-FORWARD"))
    assert lab.outside.get(f"http://{NODE[0]}:30301").startswith("pod-")
    lab.node.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
