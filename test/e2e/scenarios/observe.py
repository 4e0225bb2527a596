# SPDX-License-Identifier: Apache-2.0
#
# `kube-ipvs observe` while exchanges are made, with each value of net.netfilter.nf_conntrack_events.
import json
import os
import re
import signal
import subprocess

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show, wait_until
from objects import load_balancer, node, pod

# Tables with an owner; without them, only what has events by itself can be observed.
HAS_OWNERS = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= (5, 12)
CLIENT, VIP, EXTERNAL, NODE_PORT = "10.244.1.12", "10.96.7.1", "192.0.2.71", 30071


def group_up(lab):
    lab.add_worker()
    lab.add_pods(here=11, caller=12, away="2.21")
    lab.write("pods.yaml", pod("here", 11), pod("away", "2.21"), pod("caller", 12, labels={"set": "clients"}))
    lab.write("nodes.yaml", node("node", "172.20.0.1", "10.244.1.0/24"),
              node("worker", "172.20.0.2", "10.244.2.0/24"))
    lab.write("web.yaml", load_balancer("web", VIP, {"set": "v1"}, [EXTERNAL], node_port=NODE_PORT))
    lab.write("other.yaml", load_balancer("other", "10.96.7.2", {"set": "v1"}, ["192.0.2.72"], node_port=30072))
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)
    lab.node.sysctl("netfilter/nf_conntrack_acct", 1)
    lab.served(VIP, 80, "10.244.1.11:80", "10.244.2.21:80")


class Observation:
    """`observe` in the background, from its first line until it is stopped."""

    def __init__(self, lab, *flags, service="default/web"):
        self.lab, self.path = lab, f"{lab.directory}/observed"
        lab.start("observe", lab.node, self.path, lab.agent.program, "observe", service, *flags)

    def __enter__(self):
        wait_until("it begins", 20, lambda: self.text().count("\n") > 0)
        return self

    def __exit__(self, *error):
        self.lab.stop("observe", signal.SIGINT)

    def text(self):
        with open(self.path) as file:
            return file.read()

    def lines(self, kind):
        lines = [json.loads(line) for line in self.text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["type"] == kind]

    def await_lines(self, kind, count):
        wait_until(f"{count} lines are {kind}", 20, lambda: len(self.lines(kind)) >= count)
        return self.lines(kind)


def tables(lab):
    return re.findall(r"kube-ipvs-observe-\d+", lab.node.run("nft", "list", "tables"))


def endpoint_of(name):
    return {"here": ("10.244.1.11:80", "default/here"), "away": ("10.244.2.21:80", "default/away")}[name]


def refuses(lab):
    """With no events, and no way to give them to some connections alone."""
    with lab.node.namespace:
        result = subprocess.run([lab.agent.program, "observe", "web"], text=True, capture_output=True, timeout=30)
    assert result.returncode == 2 and "nf_conntrack_events is 0" in result.stderr, result


def check_exchange(lab, events, limited):
    lab.node.sysctl("netfilter/nf_conntrack_events", events)
    with Observation(lab, "-o", "json") as observed:
        start = observed.lines("start")[0]
        assert {each["address"] for each in start["entrances"]} >= {f"{VIP}:80", f"{EXTERNAL}:80"}, start
        assert len(tables(lab)) == limited, (tables(lab), start["notes"])
        assert bool(start["notes"]) != bool(limited), start["notes"]
        lab["caller"].tally("http://10.96.7.2", 2)  # another Service's
        names = lab["caller"].tally(f"http://{VIP}", 4)
        begun, ended = observed.await_lines("new", 4), observed.await_lines("ended", 4)
    assert len(begun) == len(ended) == 4, (begun, ended)
    assert {each["client"].rsplit(":", 1)[0] for each in begun + ended} == {CLIENT}
    assert {each["clientName"] for each in begun + ended} == {"default/caller"}
    assert {each["entrance"] for each in begun + ended} == {f"{VIP}:80"}
    expected = sorted(endpoint_of(name) for name, times in names.items() for _ in range(times))
    for lines in (begun, ended):
        assert sorted((each["endpoint"], each["endpointPod"]) for each in lines) == expected, (lines, expected)
    assert sorted(each["client"] for each in begun) == sorted(each["client"] for each in ended)
    for each in ended:
        assert each["how"] in ("closed", "reset") and 0 < each["seconds"] < 20, each
        assert 100 < each["bytesIn"] < 3000 and 100 < each["bytesOut"] < 3000, each
    show(ended[0])
    wait_until("the table is gone", 10, lambda: not tables(lab))


def case_each_connection_is_seen_with_client_endpoint_bytes_and_time_where_all_have_events(lab):
    check_exchange(lab, 1, limited=0)


def case_the_same_where_connections_have_events_if_somebody_listens(lab):
    check_exchange(lab, 2, limited=1 if HAS_OWNERS else 0)


def case_the_same_where_no_connection_has_events_but_those_that_a_rule_gives_them(lab):
    if HAS_OWNERS:
        check_exchange(lab, 0, limited=1)
    else:
        lab.node.sysctl("netfilter/nf_conntrack_events", 0)
        refuses(lab)


def case_clients_outside_are_seen_with_their_address_though_the_pods_see_the_node_s(lab):
    lab.node.sysctl("netfilter/nf_conntrack_events", 0 if HAS_OWNERS else 1)
    with Observation(lab, "-o", "json") as observed:
        lab.outside.tally(f"http://{EXTERNAL}", 2)
        lab.outside.tally(f"http://203.0.113.1:{NODE_PORT}", 2)
        lab.node.tally(f"http://{VIP}", 1)
        ended = observed.await_lines("ended", 5)
    seen = sorted((each["client"].rsplit(":", 1)[0], each.get("clientName"), each["entrance"]) for each in ended)
    show(seen)
    assert seen == sorted([("203.0.113.2", None, f"{EXTERNAL}:80")] * 2 +
                          [("203.0.113.2", None, f"203.0.113.1:{NODE_PORT}")] * 2 +
                          [(VIP, "this node", f"{VIP}:80")]), seen


def case_what_people_see_is_a_table_that_ends_with_control_c_and_without_a_trace(lab):
    with Observation(lab) as observed:
        lab["caller"].tally(f"http://{VIP}", 1)
        wait_until("its end is shown", 20, lambda: re.search(r" (ended|reset) ", observed.text()))
    for line in observed.text().splitlines():
        show(line)
    begun = rf"^[\d:.]+  new +{CLIENT}:\d+ default/caller +10\.244\.\d\.\d+:80 default/(here|away) +TCP {VIP}:80$"
    assert re.search(begun, observed.text(), re.MULTILINE), observed.text()
    assert not tables(lab)


def case_beyond_the_rate_a_sample_is_shown_and_the_rate_is_told(lab):
    with Observation(lab, "-o", "json", "--rate", "2") as observed:
        lab["caller"].start_load("observed", "requests", VIP, 80)
        rates = observed.await_lines("rate", 3)
        lab.stop_load("observed")
        shown, ended = observed.lines("new"), {each["client"] for each in observed.lines("ended")}
    show(rates[-1], f"{len(shown)} shown")
    assert rates[-1]["oneOf"] > 1 and rates[-1]["new"] > 2, rates
    assert len(shown) < sum(each["new"] for each in rates), (len(shown), rates)
    # Of what was shown to begin, the end was shown as well; the last may still be open.
    late = [each["client"] for each in shown[:-8] if each["client"] not in ended]
    assert not late, late


def case_the_table_goes_with_the_agent_even_if_that_is_killed(lab):
    lab.node.sysctl("netfilter/nf_conntrack_events", 0 if HAS_OWNERS else 1)
    with Observation(lab, "-o", "json") as observed:
        wait_until("the table is there", 10, lambda: len(tables(lab)) == (1 if HAS_OWNERS else 0))
        lab.agent.kill()
        wait_until("the table is gone", 10, lambda: not tables(lab))
        wait_until("the command says so", 10, lambda: "the agent has ended" in observed.text())
    lab.agent.restart(*CLUSTER_IPS, *CLUSTER_CIDR)


def case_a_service_that_does_not_exist_or_is_wrongly_asked_for_is_a_clear_error(lab):
    for words, says in ((["nothing"], "there is no Service default/nothing"),
                        (["web", "--for", "2h"], "is not a duration from 1s to 1h"),
                        (["web", "--rate", "0"], "is not a number from 1 to 1000")):
        with lab.node.namespace:
            result = subprocess.run([lab.agent.program, "observe", *words], text=True, capture_output=True, timeout=30)
        assert result.returncode == (1 if words == ["nothing"] else 2), result
        assert says in result.stderr and not result.stdout, result
