# SPDX-License-Identifier: Apache-2.0
#
# Load on a Service of services.yaml in all ways, and how it went. The lab has pod-1 and pod-3, and serves set v1.
import re

from checks import wait_until

VIP = "10.96.1.1"


def start_loads(lab):
    """On all ways: from a pod, from the host, from outside."""
    lab["pod-1"].start_load("pod", "requests", VIP, 80, workers=2)
    lab.node.start_load("host", "requests", VIP, 80, workers=2)
    lab.outside.start_load("outside", "requests", "203.0.113.1", 30080, workers=2)
    lab["pod-3"].start_load("long", "connections", VIP, 7, workers=6)
    wait_until("the long-lived connections are open", 30, lambda: established(lab) >= 6)


def established(lab):
    return sum(1 for line in lab.node.run("ipvsadm", "-Lnc").splitlines()
               if f"{VIP}:7" in line and "ESTABLISHED" in line)


def no_load_failed(lab, *names):
    loads = [lab.stop_load(name) for name in names]
    assert all(load["failed"] == 0 and load["total"] >= 10 for load in loads), loads
    return loads


def counters(lab):
    """Connections scheduled so far: {("TCP", "10.96.1.1:80"): 12, ("TCP", "10.96.1.1:80", "10.244.1.11:80"): 4}."""
    found, server = {}, ()
    for line in lab.node.run("ipvsadm", "-Ln", "--stats", "--exact").splitlines():
        words = line.split()
        if words[0] in ("TCP", "UDP"):
            server = (words[0], words[1])
            found[server] = int(words[2])
        elif words[0] == "->" and re.search("[0-9]", words[1]):
            found[(*server, words[1])] = int(words[2])
    return found


def more_requests(lab, count):
    """The load has continued for so many requests more."""
    def requests_so_far():
        return counters(lab)["TCP", f"{VIP}:80"]

    until = requests_so_far() + count
    wait_until(f"{count} more requests come", 60, lambda: requests_so_far() >= until)
