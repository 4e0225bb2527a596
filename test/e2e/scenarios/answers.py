# SPDX-License-Identifier: Apache-2.0
#
# What `explain` and `next` say, where the tests of the other groups, whose exchanges are compared (explained.py), do not
# ask: by Service, without a client, and with the tools of the lines.
import shutil
import subprocess

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show
from explained import question
from objects import dual_stack, load_balancer, node, pod


def group_up(lab):
    lab.add_worker()
    lab.add_pods(here=11, away="2.21")
    lab.write("pods.yaml", pod("here", 11), pod("away", "2.21"))
    lab.write("nodes.yaml", node("node", "172.20.0.1", "10.244.1.0/24"),
              node("worker", "172.20.0.2", "10.244.2.0/24"))
    lab.write("web.yaml", load_balancer(
        "web", "10.96.6.1", {"set": "v1"}, ["192.0.2.61", "fd00:192::61"], node_port=30061,
        externalTrafficPolicy="Local", loadBalancerSourceRanges=["203.0.113.0/24"],
        **dual_stack("10.96.6.1", "fd00:10:96::61")))
    lab.write("empty.yaml", load_balancer("empty", "10.96.6.2", {"set": "nothing"}, ["192.0.2.62"], node_port=30062))
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)
    lab.served("192.0.2.61", 80, "10.244.1.11:80")


def case_a_service_is_explained_by_each_entrance_and_for_a_client_that_is_not_known(lab):
    ways = question("/v1/explain", to="default/web")["ways"]
    entrances = [f"{way['entrance']} {way['to']}" for way in ways]
    show("entrances:", entrances)
    assert entrances[:4] == ["cluster IP 10.96.6.1:80", "cluster IP [fd00:10:96::61]:80",
                             "load balancer IP 192.0.2.61:80", "load balancer IP [fd00:192::61]:80"], entrances
    assert all(way["entrance"] == "node port" and way["to"].endswith(":30061") for way in ways[4:]), entrances
    assert {way["verdict"] for way in ways} == {"delivered"}
    assert "a client outside of loadBalancerSourceRanges is dropped" in ways[2]["depends"], ways[2]["depends"]


def case_the_rules_that_an_explanation_names_are_in_the_table_as_nft_lists_it(lab):
    listed = {line.strip() for line in lab.node.run("nft", "list", "table", "inet", "kube-ipvs").splitlines()}
    rules, elements = set(), set()
    for to in ("default/web", "default/empty"):
        for client in ("203.0.113.2", "198.51.100.7", "10.244.1.11", "10.244.2.21", "203.0.113.1", "fd00:203::2"):
            for way in (question("/v1/explain", to=to, **{"from": client}) or {"ways": []})["ways"]:
                rules |= {step["rule"] for step in way["steps"] if step["rule"]}
                elements |= {(step["set"], step["element"]) for step in way["steps"]
                             if step["set"] and step["matched"] == "yes" and step["set"] != "allowed-sources-4"}
    assert len(rules) > 20, rules
    assert not rules - listed, rules - listed
    for name, element in elements:
        key = element.split(" : ")[0]
        assert lab.node.succeeds("nft", "get", "element", "inet", "kube-ipvs", name, f"{{ {key} }}"), (name, element)
    show(f"{len(rules)} rules and {len(elements)} elements are in the table")


def case_the_next_commands_are_read_by_their_tools(lab):
    ran = {}
    for service in ("default/web", "default/empty"):
        for entrance in question("/v1/next", to=service)["entrances"]:
            for command in entrance["commands"]:
                tool, line = command["tool"], command["line"]
                if not shutil.which(tool):
                    continue
                if tool == "tcpdump":
                    line = line.replace("tcpdump -n -i any", "tcpdump -d")  # compiles the filter, and ends
                with lab.node.namespace:
                    result = subprocess.run(["sh", "-c", line], text=True, capture_output=True, timeout=60)
                # grep ends with 1 where there is no connection.
                good = result.returncode == 0 or ("| grep" in line and result.returncode == 1 and not result.stderr)
                assert good, f"{line}: {result}"
                ran[tool] = ran.get(tool, 0) + 1
    show("lines run:", ran)
    assert {"ipvsadm", "nft", "conntrack", "ss"} <= set(ran), ran
