# SPDX-License-Identifier: Apache-2.0
#
# With the kube-proxy of KUBEBUILDER_ASSETS, in ipvs mode at a real API server: it serves the node, is replaced by
# kube-ipvs and comes back, while clients that began before are connected. Where there is none, `takeover` and
# `handback` do by hand what it leaves.
import json
import os
import re
import subprocess
import time

import apiserver
import kube_proxy
from apiserver import CLUSTER, kubectl
from checks import show, wait_until
from node_of_kube_proxy import forget, no_exchange_lost
from objects import DNS, ECHO, HTTP, affinity, load_balancer, node, pod, service

SOME_SECONDS = 2  # in which each client exchanges some ten words
V1 = {"set": "v1"}
KUBECONFIG = f"{CLUSTER}/kubeconfig.guest"
PODS = {"pod-1": 11, "pod-2": 12}
CLUSTER_IP, DNS_IP, STICKY_IP, BALANCER, EXTERNAL = "10.96.7.1", "10.96.7.2", "10.96.7.3", "192.0.2.71", "192.0.2.70"
NODE = "203.0.113.1"
SERVICES = {
    "web": service("web", CLUSTER_IP, V1, ports=[HTTP, ECHO]),
    "dns": service("dns", DNS_IP, V1, port=DNS),
    "sticky": service("sticky", STICKY_IP, V1, **affinity(10800)),
    "lb": load_balancer("lb", "10.96.7.4", V1, [BALANCER], ports=[{**HTTP, "nodePort": 30371},
                                                                {**ECHO, "nodePort": 30372}], externalIPs=[EXTERNAL],
                        loadBalancerSourceRanges=["203.0.113.0/24", "10.244.0.0/16"]),
}
FLAGS = ("--hostname-override", "node", "--cluster-cidr", "10.244.0.0/16")
OURS = ("--kubeconfig", KUBECONFIG, "--endpoint-source", "endpointslice", *FLAGS, "--service-cluster-ip-range",
        "10.96.0.0/16")


def group_up(lab):
    apiserver.connect(lab)
    # pod-3 is a client only: kube-proxy 1.20 does not masquerade what comes back to its own Pod from such slices.
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13)
    apiserver.create(lab, node("node", NODE, "10.244.1.0/24"), *SERVICES.values(),
                     *(pod(name, number) for name, number in PODS.items()))
    for name, number in PODS.items():
        apiserver.run_pod(lab, name, number)
    status = json.loads(kubectl(lab, "get", "service", "lb", "-o", "json"))
    status["status"] = SERVICES["lb"]["status"]
    kubectl(lab, "replace", "--raw", "/api/v1/namespaces/default/services/lb/status", "-f", "-",
            input=json.dumps(status))
    for name, each in SERVICES.items():
        apiserver.create_slice(lab, name, each["spec"]["ports"], PODS)


# The two proxies.


def program():
    return f"{os.environ['KUBEBUILDER_ASSETS']}/kube-proxy"


def start_kube_proxy(lab, backend):
    """It calls iptables, whichever that is."""
    folder = f"{lab.directory}/{backend}"
    if not os.path.exists(folder):
        os.mkdir(folder)
        for family in ("iptables", "ip6tables"):
            for end in ("", "-save", "-restore"):
                os.symlink(f"/usr/sbin/{family}-{backend}{end}", f"{folder}/{family}{end}")
    lab.start("kube-proxy", lab.node, f"{lab.directory}/kube-proxy.log", "env",
              f"PATH={folder}:{os.environ['PATH']}", program(), "--kubeconfig", KUBECONFIG, "--proxy-mode", "ipvs",
              # The limits of connection tracking belong to the first network namespace.
              "--conntrack-max-per-core=0", "--conntrack-min=0", "--conntrack-tcp-timeout-established=0",
              "--conntrack-tcp-timeout-close-wait=0", "--v", "2", *FLAGS)


def is_served(lab):
    both = [f"10.244.1.{number}" for number in PODS.values()]
    return all(lab.leads_to(f"TCP {address}:{port}", *(f"{each}:{target}" for each in both))
               for address, port, target in ((CLUSTER_IP, 80, 80), (CLUSTER_IP, 7, 7), (STICKY_IP, 80, 80),
                                             (BALANCER, 80, 80), (EXTERNAL, 7, 7), (NODE, 30371, 80)))


def has_rules(lab, backend):
    """They come last. A connection that began before them would be tracked, and masqueraded, in its middle."""
    rules = lab.node.run(f"iptables-{backend}-save", "-t", "nat")
    return "-A KUBE-SERVICES" in rules and re.search("^-A KUBE-POSTROUTING .*-j MASQUERADE", rules, re.MULTILINE)


def kube_proxy_serves(lab, backend):
    """Its virtual servers are there, and so are its rules."""
    try:
        wait_until("kube-proxy serves the node", 300,
                   lambda: is_served(lab) and has_rules(lab, backend))
    except AssertionError:
        with open(f"{lab.directory}/kube-proxy.log", encoding="utf-8") as log:
            print(log.read()[-3000:])
        raise
    time.sleep(SOME_SECONDS)


def we_serve(lab, backend):
    lab.agent.restart(source=OURS)
    wait_until("all of kube-proxy's is gone", 60, lambda: not kube_proxy.names_left(lab.node, backend))
    assert is_served(lab), lab.ipvs_table()
    assert lab.agent.metric("kube_ipvs_foreign_virtual_servers") == 0


def plan(lab):
    with lab.node.namespace:
        result = subprocess.run([lab.agent.program, "plan", "--against-kernel", *OURS], text=True, capture_output=True,
                                timeout=120)
    assert result.returncode in (0, 1), result
    return result.stdout.splitlines()


# The kubelet makes this, and rules of kube-proxy before 1.28 refer to it.
KUBELETS = """\
*nat
:KUBE-MARK-DROP - [0:0]
-A KUBE-MARK-DROP -j MARK --or-mark 0x8000
COMMIT
"""


class Clients:
    """They began while kube-proxy served the node."""

    def __init__(self, lab):
        self.lab, client = lab, lab["pod-3"]
        self.sticky = lab.outside.one_pod(f"http://{STICKY_IP}", 3)
        self.loads = {
            "cluster-ip-pod": (client, "connections", CLUSTER_IP, 7),
            "cluster-ip-outside": (lab.outside, "connections", CLUSTER_IP, 7),
            "node-port-outside": (lab.outside, "connections", NODE, 30372),
            "external-ip-outside": (lab.outside, "connections", EXTERNAL, 7),
            "balancer-pod": (client, "connections", BALANCER, 7),
            "balancer-outside": (lab.outside, "connections", BALANCER, 7),
            "udp-pod": (client, "datagrams", DNS_IP, 53),
            "udp-outside": (lab.outside, "datagrams", DNS_IP, 53),
            "requests-outside": (lab.outside, "requests", BALANCER, 80)}
        for name, (place, kind, address, port) in self.loads.items():
            place.start_load(name, kind, address, port, 1)

    def check(self):
        no_exchange_lost(self.lab, self.loads)
        answers = self.lab.outside.tally(f"http://{STICKY_IP}", 4)
        assert set(answers) == {self.sticky}, f"{answers}, before only {self.sticky}"


def step(what):
    show(f"{time.monotonic():.2f} {what}")


def there_and_back(lab, backend):
    forget(lab)
    lab.node.run("conntrack", "-F")
    version = lab.node.run(program(), "--version").strip()
    show(f"{version}, iptables-{backend}")
    for tool in ("iptables", "ip6tables"):
        lab.node.run(f"{tool}-{backend}-restore", "--noflush", input=KUBELETS)
    start_kube_proxy(lab, backend)
    kube_proxy_serves(lab, backend)
    step("clients begin")
    clients = Clients(lab)
    before = plan(lab)
    show("plan --against-kernel while kube-proxy runs:")
    for line in before:
        show(" ", line)

    step("kube-proxy stops, kube-ipvs starts")
    lab.stop("kube-proxy")
    we_serve(lab, backend)
    step("kube-proxy's rules are gone")
    after = plan(lab)
    assert after == ["no difference"], after
    time.sleep(SOME_SECONDS)

    step("kube-ipvs stops, kube-proxy starts")
    lab.agent.stop()
    start_kube_proxy(lab, backend)
    kube_proxy_serves(lab, backend)
    step("handover")
    did = lab.agent.cleanup("--handover")
    assert len(did) == 1 and re.fullmatch("removed nftables table inet kube-ipvs with [0-9]+ set elements", did[0]), did
    time.sleep(SOME_SECONDS)
    assert is_served(lab), lab.ipvs_table()
    clients.check()
    lab.stop("kube-proxy")


def case_from_a_real_kube_proxy_with_iptables_nft_to_us_and_back_no_exchange_is_lost(lab):
    there_and_back(lab, "nft")


def case_from_a_real_kube_proxy_with_iptables_legacy_to_us_and_back_no_exchange_is_lost(lab):
    there_and_back(lab, "legacy")


def case_a_real_kube_proxy_that_runs_beside_us_is_named(lab):
    forget(lab)
    lab.node.run("iptables-nft-restore", "--noflush", input=KUBELETS)
    start_kube_proxy(lab, "nft")
    kube_proxy_serves(lab, "nft")
    lab.agent.start(source=OURS)
    wait_until("it is named", 60, lambda: lab.agent.logged("kube-proxy runs beside"))
    lab.stop("kube-proxy")
    # It had the port of the metrics until now.
    wait_until("it is not running any more", 60, lambda: lab.agent.metric("kube_ipvs_kube_proxy_running") == 0)
