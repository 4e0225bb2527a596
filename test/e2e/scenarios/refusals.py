# SPDX-License-Identifier: Apache-2.0
#
# When the agent cannot run: one line that says what to do, and exit code 1. The node has no agent here.
import os
import re
import subprocess
from contextlib import contextmanager

from checks import show, wait_until

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh", "dh", "sed", "nq", "fo", "ovf", "lblc", "lblcr", "twos")

def group_up(lab):
    pass


def refuses(lab, text, *flags, before=()):
    """Exit code 1, and one line of standard error that has the text, a regular expression. `before`: what the agent is
    started by."""
    with lab.node.namespace:
        ended = subprocess.run([*before, lab.agent.program, *flags], text=True, capture_output=True,
                               timeout=60)
    print(ended.stderr, f"exit code {ended.returncode}", flush=True)
    lines = [line for line in ended.stderr.splitlines() if not re.match("[IW][0-9]{4} ", line)]
    assert ended.returncode == 1
    assert len(lines) == 1
    assert re.search(text, ended.stderr)


@contextmanager
def without_module(name):
    """As on a kernel that has not got it. Tells the host's modprobe so, in the test kernel only."""
    assert os.environ.get("KUBE_IPVS_TEST_KERNEL")
    path = "/etc/modprobe.d/kube-ipvs-test.conf"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"install {name} /bin/false\n")
    try:
        yield
    finally:
        os.remove(path)


# First, while IPVS is not loaded.
def case_without_ipvs_in_the_kernel_it_says_modprobe_ip_vs_and_exits_with_1(lab):
    assert not os.path.exists("/proc/net/ip_vs")
    with without_module("ip_vs"):
        refuses(lab, "modprobe ip_vs", "--manifests", lab.manifests)


# Before the first start that tries the table with all its modules.
def case_a_kernel_without_a_feature_that_the_nftables_table_needs_is_told_which_kernels_have_it(lab):
    # The start before may have loaded it.
    wait_until("nft_masq is not loaded", 10, lambda: lab.node.succeeds("modprobe", "-r", "nft_masq"))
    with without_module("nft_masq"):
        refuses(lab, "a rule of the chain .*: masquerading in the family inet .Linux 5.2, module nft_masq",
                "--manifests", lab.manifests)
    assert lab.node.run("nft", "list", "ruleset") == ""


def case_a_failed_start_leaves_nothing_in_the_kernel(lab):
    lab.node.succeeds(lab.agent.program, "--manifests", lab.manifests, "--ipvs-scheduler", "wrong")
    assert not lab.has_device()
    assert lab.node.run("nft", "list", "ruleset") == ""


def case_a_scheduler_that_the_kernel_does_not_have_is_named_with_its_module(lab):
    with without_module("ip_vs_nq"):
        refuses(lab, "modprobe ip_vs_nq", "--manifests", lab.manifests, "--ipvs-scheduler", "nq")


def case_a_user_without_rights_gets_an_error_that_names_the_missing_right(lab):
    refuses(lab, "root|CAP_NET_ADMIN", "--manifests", lab.manifests,
            before=("setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all"))


def case_a_kubeconfig_that_does_not_exist_is_named(lab):
    refuses(lab, "/no/such/kubeconfig", "--kubeconfig", "/no/such/kubeconfig")


def case_an_unknown_scheduler_is_refused_with_the_list_of_known_ones(lab):
    refuses(lab, "wrong.*rr.*wrr.*lc.*twos", "--manifests", lab.manifests, "--ipvs-scheduler", "wrong")


def case_outside_a_cluster_and_without_manifests_it_says_which_flags_there_are(lab):
    refuses(lab, "--kubeconfig")


def case_with_bind_address_hard_fail_a_metrics_port_in_use_makes_the_start_fail_with_1(lab):
    lab.serve("taken", lab.node, http_port=10249)
    refuses(lab, "10249", "--manifests", lab.manifests, "--bind-address-hard-fail")


# Why there is no loader of modules in the agent (ipvs/adr-modules.md).
def case_the_kernel_loads_every_module_and_scheduler_by_itself(lab):
    for scheduler in SCHEDULERS:
        if subprocess.run(["modinfo", f"ip_vs_{scheduler}"], capture_output=True).returncode != 0:
            show("this kernel has no", scheduler)
            continue
        lab.node.run(lab.agent.program, "--init-only", "--ipvs-scheduler", scheduler)
        assert os.path.exists(f"/sys/module/ip_vs_{scheduler}"), scheduler
    for module in ("ip_vs", "nf_conntrack", "nf_tables", "nft_masq", "nft_chain_nat", "dummy"):
        assert os.path.exists(f"/sys/module/{module}"), module
    with open("/proc/modules", encoding="ascii") as file:
        names = sorted(line.split()[0] for line in file)
    show("loaded:", *[name for name in names if re.match("ip_vs|nf_|nft_|nfnetlink|dummy|libcrc32c", name)])
