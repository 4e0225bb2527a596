# SPDX-License-Identifier: Apache-2.0
#
# Changes under load: no request fails, no connection drops.
import json
import os
import re
import signal
import socket
import time

from agent import CLUSTER_IPS
from checks import matches, wait_until
from loads import VIP, counters, more_requests, no_load_failed, start_loads
from objects import pod, service

SERVER = f"TCP {VIP}:80"


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13)
    for number in (1, 2, 3):
        lab.write(f"pod-{number}.yaml", pod(f"pod-{number}", f"{10 + number}"))
    lab.write_common_services()
    lab.agent.restart(*CLUSTER_IPS)


def never_less(before, after):
    """Every counter is still there, and at least as high: nothing was deleted and made again."""
    worse = {key: (count, after.get(key)) for key, count in before.items() if after.get(key, -1) < count}
    assert not worse, worse


def case_kill_9_of_the_agent_and_its_restart_drop_no_connection_and_touch_no_virtual_server(lab):
    start_loads(lab)
    more_requests(lab, 30)
    before = counters(lab)
    lab.agent.kill()
    more_requests(lab, 30)
    lab.agent.restart(*CLUSTER_IPS)
    more_requests(lab, 30)
    never_less(before, counters(lab))
    assert lab.agent.logged("Table complete.* operations=0 ")
    no_load_failed(lab, "pod", "host", "outside", "long")


def case_a_restarted_agent_repairs_what_differs_and_does_not_touch_the_rest(lab):
    before = counters(lab)
    lab.agent.kill()
    lab.node.run("ipvsadm", "-D", "-t", "10.96.1.3:80")
    lab.node.run("ipvsadm", "-d", "-t", f"{VIP}:80", "-r", "10.244.1.12:80")
    lab.node.run("ipvsadm", "-E", "-t", "192.0.2.10:80", "-s", "lc")
    lab.node.run("ip", "address", "delete", "192.0.2.20/32", "dev", "kube-ipvs0")
    lab.agent.restart(*CLUSTER_IPS)
    pods = ("10.244.1.11:80", "10.244.1.12:80", "10.244.1.13:80")
    assert lab.leads_to("TCP 10.96.1.3:80", *pods)
    assert lab.leads_to(SERVER, *pods)
    assert "192.0.2.10:80 rr" in lab.ipvs_table()
    assert "192.0.2.20/32" in lab.addresses()
    changed = (("TCP", f"{VIP}:80", "10.244.1.12:80"),)
    never_less({key: count for key, count in before.items() if key not in changed and key[1] != "10.96.1.3:80"},
               counters(lab))


def case_a_pod_replaced_by_one_with_another_address_fails_no_request(lab):
    start_loads(lab)
    lab.add_pod("pod-4", 14)
    lab.write("pod-4.yaml", pod("pod-4", 14))
    lab.remove("pod-2.yaml")
    wait_until("the table follows", 30, lambda: lab.leads_to(SERVER, *(f"10.244.1.{n}:80" for n in (11, 13, 14))))
    more_requests(lab, 60)
    # Long-lived connections to the old pod continue while it may still serve them.
    of_pod, *_ = no_load_failed(lab, "pod", "host", "outside", "long")
    assert "pod-4" in of_pod["names"]
    lab.remove_pod("pod-2")


def case_a_deleted_pod_leaves_the_table_when_its_connections_have_ended(lab):
    wait_until("it is no destination any more", 60, lambda: lab.is_no_destination("10.244.1.12"))


# For a moment between two schedulers a virtual server has none (ip_vs_edit_service in ip_vs_ctl.c), and refuses a new
# connection; those that are open do not notice.
def case_the_scheduler_is_switched_by_the_flag_under_load_and_drops_no_connection(lab):
    start_loads(lab)
    more_requests(lab, 20)
    lab.agent.restart(*CLUSTER_IPS, "--ipvs-scheduler", "lc")
    more_requests(lab, 20)
    table = lab.ipvs_table()
    assert f"{VIP}:80 lc" in table
    assert not matches("^(TCP|UDP).* rr", table)
    no_load_failed(lab, "long")
    for name in ("pod", "host", "outside"):
        load = lab.stop_load(name)
        assert load["failed"] * 20 <= load["total"], load
    lab.agent.stop()


# But twos, which Debian's kernel is built without.
def case_the_kernel_has_every_scheduler_that_the_flag_lists(lab):
    for name in "wrr wlc sh mh dh sed nq fo ovf lblc lblcr rr".split():
        lab.agent.restart(*CLUSTER_IPS, "--ipvs-scheduler", name)
        assert f"{VIP}:80 {name}" in lab.ipvs_table()
    lab.agent.restart(*CLUSTER_IPS)


def case_many_edits_in_a_row_end_in_the_last_state(lab):
    for number in range(1, 21):
        lab.write("case.yaml", service("edited", f"10.96.3.{number}", {"set": "v1"}))
    wait_until("the last one is served", 30,
               lambda: lab.leads_to("TCP 10.96.3.20:80", *(f"10.244.1.{n}:80" for n in (11, 13, 14))))
    wait_until("the others are not", 30, lambda: not any(
        re.search(r" 10\.96\.3\.1?[0-9]:", server) for server in lab.virtual_servers()))


def case_a_signal_to_stop_leaves_the_kernel_serving(lab):
    lab.agent.stop()
    assert lab.agent.logged("Stopping")
    assert len(lab["pod-1"].tally(f"http://{VIP}", 6)) == 3
    lab.agent.restart(*CLUSTER_IPS)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def ends_within_two_seconds(lab, signals=1):
    begun = time.monotonic()
    pid = lab.processes["agent"]
    for _ in range(signals - 1):
        os.kill(pid, signal.SIGTERM)
    lab.agent.stop()
    took = time.monotonic() - begun
    assert took < 2, f"it took {took:.1f} s"


# The name server of the node's own 127.0.0.53 takes every question and never answers (H5).
def case_a_signal_ends_the_agent_while_a_name_is_looked_up_h5(lab):
    lab.agent.stop()
    write(f"{lab.directory}/resolv.conf", "nameserver 127.0.0.53\noptions timeout:30\n")
    write(f"{lab.directory}/kubeconfig", json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.invalid:6443"}}]}))
    with lab.node.namespace:
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with silent:
        silent.bind(("127.0.0.53", 53))
        silent.settimeout(30)
        for signals in (1, 2):
            lab.start("agent", lab.node, lab.agent.log, "unshare", "--mount", "sh", "-c",
                      f"mount --bind {lab.directory}/resolv.conf /etc/resolv.conf && exec {lab.agent.program} "
                      f"--kubeconfig {lab.directory}/kubeconfig --hostname-override node")
            silent.recvfrom(512)  # it waits for the answer
            ends_within_two_seconds(lab, signals)
    lab.agent.restart(*CLUSTER_IPS)


def case_a_signal_ends_the_agent_at_any_instant_of_its_start_h5(lab):
    lab.agent.stop()
    for milliseconds in (0, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640):
        lab.agent.start(*CLUSTER_IPS)
        time.sleep(milliseconds / 1000)
        ends_within_two_seconds(lab)
    lab.agent.restart(*CLUSTER_IPS)
    assert len(lab["pod-1"].tally(f"http://{VIP}", 6)) == 3
