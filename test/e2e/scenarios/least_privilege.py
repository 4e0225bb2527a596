# SPDX-License-Identifier: Apache-2.0
#
# The agent with no more than it needs: user 65534 with CAP_NET_ADMIN alone, a file system that cannot be written but
# for its own directory, and the seccomp profile of examples/. What needs more was done before by --init-only.
import os
import re
import shutil
import subprocess

import agent as agent_module
from agent import CLUSTER_IPS
from checks import show, wait_until
from objects import pod, service

V1 = {"set": "v1"}
RUN_DIR = "/run/kube-ipvs"
# Like a container with readOnlyRootFilesystem, which has /proc/sys read-only as well.
READ_ONLY = f"""
  mount --bind {RUN_DIR} {RUN_DIR}
  mount -o remount,bind,ro /
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
  exec "$@"
"""
UNPRIVILEGED = (
    "unshare", "--mount", "--propagation", "private", "sh", "-ec", READ_ONLY, "sh",
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
    "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin", "--bounding-set=-all,+net_admin")


def reachable(lab, path):
    """A copy: user 65534 may not be allowed to enter the checkout, as in a directory of mktemp."""
    return shutil.copy(path, lab.directory)


def group_up(lab):
    os.chmod(lab.directory, 0o755)
    os.makedirs(RUN_DIR, exist_ok=True)
    os.chown(RUN_DIR, 65534, 65534)
    lab.add_pods(pod_1=11, pod_2=12)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.write_common_services()
    lab.agent.program = reachable(lab, lab.agent.program)
    lab.agent.prefix = (*UNPRIVILEGED, *(reachable(lab, path) for path in agent_module.SECCOMP))


def status_of(lab):
    with open(f"/proc/{lab.processes['agent']}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def not_refused(lab):
    for word in ("not permitted", "Permission denied", "Read-only file system"):
        lines = [line for line in lab.agent.log_text().splitlines() if word in line]
        # Entries and hash table of connection tracking are the host's, also for root in this namespace.
        assert all("connection tracking is as the host has it" in line for line in lines), lines


# First: the settings of a new network namespace are not right yet.
def case_without_init_only_the_start_names_every_sysctl_that_is_not_right(lab):
    lab.node.sysctl("ipv4/ip_forward", 0)
    with lab.node.namespace:
        ended = subprocess.run([*lab.agent.prefix, lab.agent.program, "--manifests", lab.manifests], text=True,
                               capture_output=True, timeout=60)
    lab.node.forward()
    show(ended.stderr.strip())
    assert ended.returncode == 1
    line = [line for line in ended.stderr.splitlines() if "sysctls cannot be set" in line]
    assert len(line) == 1
    for name in ("net/ipv4/vs/conntrack is 0", "net/ipv4/vs/expire_nodest_conn is 0",
                 "net/ipv4/vs/expire_quiescent_template is 0", "net/ipv4/ip_forward is 0"):
        assert name in line[0], name


def case_after_init_only_it_serves_with_cap_net_admin_alone_from_a_read_only_file_system(lab):
    lab.node.run(lab.agent.program, "--init-only")
    lab.agent.restart(*CLUSTER_IPS)
    status = status_of(lab)
    show("Uid", status["Uid"], "CapEff", status["CapEff"], "NoNewPrivs", status["NoNewPrivs"], "Seccomp",
         status["Seccomp"])
    assert status["Uid"].split() == ["65534"] * 4
    assert status["CapEff"] == status["CapBnd"] == "0000000000001000"  # CAP_NET_ADMIN
    assert status["Seccomp"] == "2"
    lab.node.reaches("http://10.96.1.1", "pod-1", "pod-2")
    lab.outside.reaches("http://203.0.113.1:30080", "pod-1", "pod-2")
    lab.outside.reaches("http://192.0.2.10", "pod-1", "pod-2")
    not_refused(lab)


def case_changes_repairs_and_scrapes_need_no_more(lab):
    lab.write("case.yaml", service("late", "10.96.4.1", V1))
    wait_until("it is served", 20, lambda: lab.leads_to("TCP 10.96.4.1:80", "10.244.1.11:80", "10.244.1.12:80"))
    lab.node.ip("link delete kube-ipvs0")
    lab.node.run("nft", "delete", "table", "inet", "kube-ipvs")
    wait_until("both are back", 30, lambda: lab.has_device() and "kube-ipvs" in lab.node.run("nft", "list", "tables"))
    wait_until("it is served again", 30, lambda: lab.node.get("http://10.96.4.1"))
    assert "kube_ipvs_programmed_destinations" in lab.agent.metrics()
    assert lab.node.get("http://127.0.0.1:10256/readyz")
    lab.remove("case.yaml")
    wait_until("it is gone", 20, lambda: not lab.has_server("TCP 10.96.4.1:80"))
    not_refused(lab)


def case_a_restart_knows_what_is_its_own(lab):
    assert [name for name in os.listdir(RUN_DIR) if re.match("[a-z]", name)]
    before = lab.virtual_servers()
    lab.agent.restart(*CLUSTER_IPS)
    assert lab.virtual_servers() == before
    assert not lab.agent.logged("foreign=[1-9]")
    lab.node.reaches("http://10.96.1.1", "pod-1", "pod-2")
    not_refused(lab)
