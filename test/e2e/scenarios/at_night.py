# SPDX-License-Identifier: Apache-2.0
#
# Something is wrong, and what the commands show must be enough to name it. Their screens are printed.
import subprocess

from agent import CLUSTER_CIDR
from checks import screen, show, wait_until
from objects import load_balancer, pod

ADDRESS = "192.0.2.71"
SOUND, SILENT = "10.244.1.11:80", "10.244.1.12:80"


def group_up(lab):
    lab.add_pods(sound=11, silent=12)
    lab.write("pods.yaml", pod("sound", 11), pod("silent", 12))
    lab.write("web.yaml", load_balancer("web", "10.96.7.1", {"set": "v1"}, [ADDRESS], node_port=30071))
    lab.agent.restart(*CLUSTER_CIDR)
    lab.served(ADDRESS, 80, SOUND, SILENT)


def knock(lab, times):
    """Connections from outside, each given up after a second."""
    for _ in range(times):
        lab.outside.succeeds("timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{ADDRESS}/80")


def line_of(text, part):
    return next((line for line in text.splitlines() if part in line), "")


def case_all_is_well(lab):
    code, text = screen(lab, "status")
    assert code == 0 and text.startswith("ok"), text
    code, text = screen(lab, "status", "--peers", "127.0.0.1,127.0.0.1:9")
    assert code == 1 and line_of(text, "127.0.0.1:10256").endswith("equal"), text
    assert "no answer: Connection refused" in line_of(text, "127.0.0.1:9"), text
    assert lab.agent.ask("status", "--peers", "127.0.0.1")[0] == 0


def case_a_pod_that_swallows_packets_is_named_while_it_counts_as_ready(lab):
    lab["silent"].run("nft", "add", "table", "ip", "hole")
    lab["silent"].run("nft", "add", "chain", "ip", "hole", "in", "{ type filter hook input priority 0; policy drop; }")
    lab.start("top", lab.node, f"{lab.directory}/top", lab.agent.program, "top", "--once", "--interval", "5")
    knock(lab, 8)
    _, text = screen(lab, "get", "endpoints", "default/web")
    line = line_of(text, SILENT)
    assert "serving" in line and "connections has got a packet back" in line, text
    assert "packet back" not in line_of(text, SOUND), text
    lab.stop_when_done("top")
    with open(f"{lab.directory}/top", encoding="utf-8") as file:
        text = file.read()
    show("$ kube-ipvs top --once --interval 5")
    for line in text.splitlines():
        show(" ", line)
    assert f"{SILENT} (default/silent) gets packets and sends none back" in text, text
    # What the kernel is asked next: its connections, of which none has had an answer.
    _, text = lab.agent.ask("next", f"{ADDRESS}:80")
    command = line_of(text, "conntrack").strip().split("  ")[-1].strip()
    with lab.node.namespace:
        done = subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=60)
    show("$", command)
    for line in done.stdout.splitlines()[:2]:
        show(" ", line)
    assert "SYN_SENT" in done.stdout, (command, done)
    lab["silent"].run("nft", "delete", "table", "ip", "hole")
    lab.outside.tally(f"http://{ADDRESS}", 4)


def case_a_rule_of_somebody_else_that_drops_is_named_with_its_chain(lab):
    lab.node.run("nft", "add", "table", "inet", "firewall")
    lab.node.run("nft", "add", "chain", "inet", "firewall", "forward", "{ type filter hook forward priority 0; policy drop; }")
    wait_until("it is seen", 10, lambda: "firewall" in lab.agent.ask("status")[1])
    code, text = screen(lab, "status")
    assert code == 1 and text.startswith("attention"), text
    _, text = screen(lab, "explain", f"{ADDRESS}:80", "--from", "203.0.113.2")
    assert "the chain inet firewall forward" in text, text
    lab.node.run("nft", "delete", "table", "inet", "firewall")
    wait_until("it is over", 60, lambda: lab.agent.ask("status")[0] == 0)  # it looks again each 30 s


def case_what_is_drained_by_hand_says_by_whom_and_why_and_makes_the_node_differ(lab):
    def digest():
        return line_of(lab.agent.ask("status")[1], "digest").split("digest ")[1].split(";")[0]
    before = digest()
    assert lab.agent.ask("drain", "10.244.1.12", "--for", "1h", "--reason", "disk is full")[0] == 0
    wait_until("it drains", 10, lambda: lab.weights(f"TCP {ADDRESS}:80") == {SOUND: 1, SILENT: 0})
    _, text = screen(lab, "get", "endpoints", "default/web")
    assert "disk is full" in line_of(text, SILENT), text
    _, text = screen(lab, "history", "default/web", "--since", "1m")
    assert line_of(text, "weight 1 -> weight 0").endswith("kube-ipvs drain 10.244.1.12 asked"), text
    wait_until("the node differs", 10, lambda: digest() != before)
    assert lab.agent.ask("undrain", "10.244.1.12")[0] == 0
    wait_until("it is served again", 10, lambda: lab.weights(f"TCP {ADDRESS}:80") == {SOUND: 1, SILENT: 1})
    wait_until("it differs no more", 10, lambda: digest() == before)
