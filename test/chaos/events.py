# SPDX-License-Identifier: Apache-2.0
#
# What happens in a run: events with their times, from a seed alone. Pure. Whatever the seed, at least one pod of each
# app is ready at every moment, and for a second before an event that takes another one away.
import random

APPS = {"web": (21, 22, 23, 24), "talk": (31, 32, 33)}  # the numbers of their pods
GRACE = 8  # seconds of a pod's grace period
DAMAGES = ("virtual servers", "table", "device", "addresses", "a server", "an element", "a weight", "sysctls", "rules")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
POLICIES = ("Cluster", "Local")
# What the API server does. "restart" and "crash" end it, "forget" gives it back an older store; the others are its
# proxy's: every request gets an error, all connections are cut, no byte passes, the next lists are old ones.
API = ("restart", "crash", "forget", "errors", "cut", "silent", "old")
CLOCKS = (-86400, -3600, -60, -5, 0, 5, 60, 3600, 86400)  # seconds from what the clock says at the start

# How often each comes, in relation.
KINDS = {"pod": 10, "roll": 3, "unready": 2, "service": 4, "policy": 3, "more": 4, "kill": 3, "upgrade": 2, "damage": 2,
         "clock": 2, "memory": 1, "buffers": 1, "storm": 1, "api": 2}


class Pods:
    """Which pods are there: ready, or away with the time of its end, or not at all."""

    def __init__(self):
        self.ready = {app: list(numbers[:2]) for app, numbers in APPS.items()}
        self.away = {}

    def pass_time(self, now):
        for number, (end, back_to) in list(self.away.items()):
            if end <= now:
                del self.away[number]
                if back_to:
                    self.ready[back_to].append(number)

    def absent(self, app):
        return [number for number in APPS[app] if number not in self.ready[app] and number not in self.away]

    def take(self, app, number, end, back_to=None):
        self.ready[app].remove(number)
        self.away[number] = (end, back_to)


def pod_event(pods, chance, now):
    """A pod comes, or one leaves."""
    app = chance.choice(sorted(APPS))
    absent, ready = pods.absent(app), pods.ready[app]
    if absent and (len(ready) < 2 or chance.random() < 0.5):
        number = chance.choice(absent)
        ready.append(number)
        return [("add", app, number)]
    if len(ready) < 2:
        return []
    number = chance.choice(ready)
    pods.take(app, number, now + GRACE + 2)
    return [("leave", app, number)]


def roll_event(pods, chance, now):
    """One is replaced: the new one comes first."""
    app = chance.choice(sorted(APPS))
    absent, ready = pods.absent(app), pods.ready[app]
    if not absent:
        return []
    old, new = chance.choice(ready), chance.choice(absent)
    ready.append(new)
    pods.take(app, old, now + GRACE + 3)
    return [("add", app, new), ("leave later", app, old)]


def unready_event(pods, chance, now):
    """One is not ready for a while, and keeps its connections."""
    app = chance.choice(sorted(APPS))
    if len(pods.ready[app]) < 2:
        return []
    number, seconds = chance.choice(pods.ready[app]), chance.choice((0.5, 2, 6))
    pods.take(app, number, now + seconds + 2, app)
    return [("unready", app, number, seconds)]


# Not the scheduler: between two of them a virtual server has none for a moment, and refuses a connection
# (ip_vs_edit_service() in ip_vs_ctl.c).
def service_event(chance):
    return [("service", {"type": chance.choice(TYPES), "external": chance.choice(POLICIES),
                         "internal": chance.choice(POLICIES), "affinity": chance.random() < 0.4})]


def agent_event(kind, chance):
    if kind == "kill":
        return [("kill", chance.choice((0, 0, 0.2, 1, 3)))]  # seconds until the next start
    if kind == "upgrade":
        return [("upgrade", chance.choice((0, 0.3, 1, 3)))]  # seconds until the old one ends
    if kind == "memory":
        return [("memory", chance.choice(("short", "none")))]
    return [("buffers", chance.choice((3, 6)))]


def one_event(kind, pods, chance, now):
    of_pods = {"pod": pod_event, "roll": roll_event, "unready": unready_event}
    if kind in of_pods:
        return of_pods[kind](pods, chance, now)
    if kind in ("kill", "upgrade", "memory", "buffers"):
        return agent_event(kind, chance)
    if kind == "service":
        return service_event(chance)
    if kind == "policy":
        return [("policy", chance.choice(("web", "talk", "names")), chance.choice(POLICIES), chance.choice(POLICIES))]
    if kind == "damage":
        return [("damage", chance.choice(DAMAGES))]
    if kind == "clock":
        return [("clock", chance.choice(CLOCKS))]
    if kind == "storm":
        return [("storm", chance.choice((50, 200)))]
    if kind == "api":
        return [("api", chance.choice(API))]
    return [("more", chance.randrange(1, 30))]  # so many other Services


def plan(seconds, seed):
    """[(time in seconds, event)], ordered."""
    chance, pods, events, now = random.Random(seed), Pods(), [], 1.0
    kinds = [kind for kind, times in KINDS.items() for _ in range(times)]
    while now < seconds:
        pods.pass_time(now)
        for event in one_event(chance.choice(kinds), pods, chance, now):
            events.append((round(now, 2), event))
        now += chance.choice((0.02, 0.1, 0.5, 2, 3))
    return events
