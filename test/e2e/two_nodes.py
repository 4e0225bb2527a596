# SPDX-License-Identifier: Apache-2.0
#
# A set-up that several groups share: two nodes with pods of both, and an agent whose flags each test chooses.
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import show
from objects import node, pod
from place import as_text

POD_1, POD_2 = BOTH = ("10.244.1.11:80", "10.244.1.12:80")
AWAY = "10.244.2.21:80"


def group_up(lab):
    lab.add_worker()
    lab.add_pods(pod_1=11, pod_2=12, client=13)
    # Of these the tests write the Pods themselves. (A Pod that is not written any more is there for its grace period.)
    lab.add_pods(first=14, second=15, third=16, fourth=17)
    lab.add_pods(away="2.21")
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12), pod("away", "2.21", {"set": "away"}))
    write_nodes(lab, "172.20.0.1")


def write_nodes(lab, address):
    """`address`: of the node the agent runs on."""
    lab.write("nodes.yaml", node("node", address, "10.244.1.0/24"), node("worker", "172.20.0.2", "10.244.2.0/24"))


def use_agent(lab, *flags):
    """One with these flags runs. Each test begins with it."""
    flags = (*CLUSTER_IPS, *CLUSTER_CIDR, *flags)
    if not lab.runs("agent") or lab.agent.flags != flags:
        lab.agent.restart(*flags)


def has_weights(lab, server, **weights):
    """All that the virtual server has, by the names of its pods, those of weight 0 included: first=1, second=0."""
    addresses = {"first": "10.244.1.14", "second": "10.244.1.15", "third": "10.244.1.16", "fourth": "10.244.1.17",
                 "pod_1": "10.244.1.11"}
    port = 7 if server.endswith(":7") else 80
    return lab.weights(server) == {f"{addresses[name]}:{port}": weight for name, weight in weights.items()}


def splits(lab, url, requests, **shares):
    """This is how the client's requests are shared out."""
    answers = lab["client"].tally(url, requests)
    show(f"{url}:", as_text(answers))
    assert answers == shares, f"{answers}, not {shares}"
