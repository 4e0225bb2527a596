# SPDX-License-Identifier: Apache-2.0
#
# The agent is killed at any instant, and upgraded, under traffic: no request fails, no connection breaks, and what was
# under way is continued, not begun again.
import random
import re
import time

from agent import CLUSTER_IPS
from checks import show, wait_until
from objects import ECHO, affinity, pod, service

VIP = "10.96.1.1"
SERVER = f"TCP {VIP}:80"
KILLS = 12
SEED = 20261129


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13, pod_4=14, lonely=15, other=16)
    lab.write("pods.yaml", *(pod(f"pod-{number}", 10 + number, {"app": "web"}) for number in (1, 2)))
    lab.write("web.yaml", service("web", VIP, {"app": "web"}, ports=[
        {"name": "http", "port": 80, "targetPort": 80, "nodePort": 30080}, {"name": "echo", "port": 7}],
        type="NodePort"))
    lab.agent.restart(*CLUSTER_IPS)


LOADS = ("host", "outside", "long")


def start_loads(lab):
    lab.node.start_load("host", "requests", VIP, 80, workers=2)
    lab.outside.start_load("outside", "requests", "203.0.113.1", 30080, workers=2)
    lab["pod-1"].start_load("long", "connections", VIP, 7, workers=4)


def no_load_failed(lab):
    loads = {name: lab.stop_load(name) for name in LOADS}
    show("requests and bytes:", *(f"{name} {load['total']}" for name, load in loads.items()))
    assert all(load["failed"] == 0 and load["total"] >= 10 for load in loads.values()), loads


def change(lab, number):
    """pod-3 and pod-4 come and are deleted in turn, and other Services with them. pod-1 and pod-2 stay."""
    lab.write("more-pods.yaml", *(
        pod(f"pod-{each}", 10 + each, {"app": "web"},
            **({} if number >> (each - 3) & 1 else {"deleted_in": 60, "grace": 60})) for each in (3, 4)))
    lab.write("more.yaml", *(service(f"more-{n}", f"10.96.7.{n}", {"app": "web"}, **(affinity(60) if n % 2 else {}))
                             for n in range(1, 10) if (number + n) % 3))


def restore(lab):
    change(lab, 0)
    lab.write("more.yaml")


def case_an_agent_killed_at_any_instant_of_its_changes_fails_no_request_and_breaks_no_connection(lab):
    instants = random.Random(SEED)
    start_loads(lab)
    for number in range(KILLS):
        change(lab, number)
        time.sleep(instants.choice((0, 0.01, 0.05, 0.1, 0.3, 1)))
        lab.agent.kill()
        change(lab, number + instants.randrange(3))
        lab.agent.start(*CLUSTER_IPS)
        time.sleep(instants.choice((0.05, 0.2, 0.4, 0.8, 1.5)))
    lab.agent.restart(*CLUSTER_IPS)
    restore(lab)
    wait_until("all is as at the beginning", 60,
               lambda: lab.destinations(SERVER) == {"10.244.1.11:80", "10.244.1.12:80"}
               and not lab.has_address("10.96.7.1"))
    show(f"killed {KILLS + 1} times, seed {SEED}")
    no_load_failed(lab)


# maxSurge: the new agent starts while the old one runs. It waits for the lock, and takes over within moments.
def case_two_versions_one_after_the_other_do_not_fight_and_fail_no_request(lab):
    start_loads(lab)
    for round_number in range(3):
        old, log = "agent" if round_number % 2 == 0 else "new", f"{lab.directory}/new-{round_number}.log"
        new = "new" if old == "agent" else "agent"
        lab.start(new, lab.node, log, lab.agent.program, "--manifests", lab.manifests, "--hostname-override", "node",
                  *CLUSTER_IPS)
        said = lambda pattern: re.search(pattern, open(log, encoding="utf-8").read())
        wait_until("the new one waits", 20, lambda: said("runs here already"))
        change(lab, round_number)  # seen by the old one, and by the new one later
        time.sleep(0.5)
        assert not said("Table complete")
        lab.stop(old)
        wait_until("the new one takes over", 30, lambda: said("Table complete"))
        show(*(line for line in open(log, encoding="utf-8").read().splitlines() if "Table complete" in line))
    lab.stop(new)
    restore(lab)
    lab.agent.restart(*CLUSTER_IPS)
    no_load_failed(lab)


def connect_to_lonely(lab, address, **more):
    lab.write("case-pods.yaml", pod("lonely", 15, {"app": "lonely"}))
    lab.write("case.yaml", service("lonely", address, {"app": "lonely"}, port=ECHO, **more))
    lab.served(address, 7, "10.244.1.15:7")
    connection = lab.outside.connect(address, 7)
    assert connection.works()
    return connection


# Without a memory, each start would begin the 20 s anew.
def case_a_grace_period_goes_on_over_restarts_and_does_not_begin_anew(lab):
    connection = connect_to_lonely(lab, "10.96.9.1")
    lab.write("case-pods.yaml", pod("lonely", 15, {"app": "lonely"}, deleted_in=20, grace=20),
              pod("other", 16, {"app": "lonely"}))
    begun = time.monotonic()
    wait_until("it drains", 10, lambda: lab.weights("TCP 10.96.9.1:7") == {"10.244.1.15:7": 0, "10.244.1.16:7": 1})
    while time.monotonic() < begun + 15:
        lab.agent.kill()
        lab.agent.restart(*CLUSTER_IPS)
        assert connection.works() or time.monotonic() > begun + 18
    wait_until("it is deleted", 40, lambda: lab.weights("TCP 10.96.9.1:7") == {"10.244.1.16:7": 1})
    took = time.monotonic() - begun
    show(f"a grace period of 20 s took {took:.0f} s")
    assert 18 < took < 32, took
    assert not connection.works(4)


def case_a_lingering_service_lingers_on_after_a_restart_also_if_it_was_deleted_meanwhile(lab):
    linger = {"annotations": {"kube-ipvs.io/linger": "600"}}
    for address, deleted_first in (("10.96.9.2", True), ("10.96.9.3", False)):
        connection = connect_to_lonely(lab, address, **linger)
        if deleted_first:
            lab.remove("case.yaml")
            wait_until("it drains", 10, lambda: lab.weights(f"TCP {address}:7") == {"10.244.1.15:7": 0})
        lab.agent.kill()
        if not deleted_first:
            lab.remove("case.yaml")
        lab.agent.start(*CLUSTER_IPS)
        lab.agent.ready()
        wait_until("it drains", 10, lambda: lab.weights(f"TCP {address}:7") == {"10.244.1.15:7": 0})
        assert connection.works()
        assert lab.outside.refused(f"http://{address}:7")
        connection.close()
        wait_until("it is gone with its last connection", 60, lambda: not lab.has_server(f"TCP {address}:7"))
        assert not lab.has_address(address)


def cut(lab, name, cause):
    return count(lab, "connections_cut_total", name, f'cause="{cause}"')


def count(lab, metric, name, label=""):
    lines = [line for line in lab.agent.metrics().splitlines()
             if line.startswith(f"kube_ipvs_{metric}{{") and f'name="{name}"' in line and label in line]
    assert len(lines) == 1, lines
    return float(lines[0].split()[-1])


def case_a_roll_out_says_how_many_connections_it_has_cut_and_how_many_ended_by_themselves(lab):
    address, server = "10.96.9.4", "TCP 10.96.9.4:7"
    lab.agent.restart(*CLUSTER_IPS)  # its counters begin at 0

    def write(*pods, **annotations):
        lab.write("case-pods.yaml", *pods)
        lab.write("case.yaml", service("rolling", address, {"app": "lonely"}, port=ECHO, annotations=annotations))

    app = {"app": "lonely"}
    write(pod("lonely", 15, app))
    lab.served(address, 7, "10.244.1.15:7")
    connections = [lab.outside.connect(address, 7) for _ in range(4)]
    write(pod("lonely", 15, app, deleted_in=60, grace=60), pod("other", 16, app))
    wait_until("the first drains", 10, lambda: lab.weights(server) == {"10.244.1.15:7": 0, "10.244.1.16:7": 1})
    wait_until("its connections are shown", 10, lambda: count(lab, "draining_connections", "rolling") == 4)
    assert all(connection.works() for connection in connections)
    for connection in connections:
        connection.close()
    wait_until("they have ended by themselves", 30, lambda: count(lab, "connections_drained_total", "rolling") == 4)
    wait_until("nothing drains", 60, lambda: lab.weights(server) == {"10.244.1.16:7": 1})
    assert 'kube_ipvs_connections_cut_total{' not in lab.agent.metrics()

    # Now with a drain timeout of 0: two are cut. And the Service is deleted: one is.
    connections = [lab.outside.connect(address, 7) for _ in range(2)]
    write(pod("lonely", 15, app), pod("other", 16, app, deleted_in=60, grace=60), **{"kube-ipvs.io/drain-timeout": "0"})
    wait_until("they are counted", 10, lambda: cut(lab, "rolling", "drain_timeout") == 2)
    assert lab.agent.logged('"Connections cut" service="default/rolling" connections=2 cause="their time to drain has passed')
    assert not any(connection.works(3) for connection in connections)
    last = lab.outside.connect(address, 7)
    lab.remove("case.yaml")
    wait_until("it is counted", 10, lambda: cut(lab, "rolling", "service_deleted") == 1)
    assert not last.works(3)
    show(*(line for line in lab.agent.metrics().splitlines() if line.startswith("kube_ipvs_connections_")))
