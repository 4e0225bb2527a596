# SPDX-License-Identifier: Apache-2.0
#
# What happens in a run: events with their times, from a seed alone. Pure. Whatever the seed, at least one pod of each
# app is ready at every moment, and for a second before an event that takes another one away.
import random

APPS = {"web": (21, 22, 23, 24), "talk": (31, 32, 33)}  # the numbers of their pods
GRACE = 8  # seconds of a pod's grace period
DAMAGES = ("virtual servers", "table", "device", "addresses", "a server", "an element")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer")

# How often each comes, in relation.
KINDS = (("pod", 10), ("roll", 2), ("service", 6), ("kill", 3), ("damage", 2), ("more", 4))


class Pods:
    """Which pods are there: "ready", "leaving" with the time of its end, or not at all."""

    def __init__(self):
        self.ready = {app: list(numbers[:2]) for app, numbers in APPS.items()}
        self.leaving = {}

    def pass_time(self, now):
        for number, end in list(self.leaving.items()):
            if end <= now:
                del self.leaving[number]

    def absent(self, app):
        return [number for number in APPS[app] if number not in self.ready[app] and number not in self.leaving]


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
    ready.remove(number)
    pods.leaving[number] = now + GRACE + 2
    return [("leave", app, number)]


def roll_event(pods, chance, now):
    """One is replaced: the new one comes first."""
    app = chance.choice(sorted(APPS))
    absent, ready = pods.absent(app), pods.ready[app]
    if not absent:
        return []
    old, new = chance.choice(ready), chance.choice(absent)
    ready.append(new)
    ready.remove(old)
    pods.leaving[old] = now + GRACE + 3
    return [("add", app, new), ("leave later", app, old)]


# Not the scheduler: between two of them a virtual server has none for a moment, and refuses a connection
# (ip_vs_edit_service() in ip_vs_ctl.c).
def service_event(chance):
    return [("service", {"type": chance.choice(TYPES), "external": chance.choice(("Cluster", "Local")),
                         "internal": chance.choice(("Cluster", "Local")), "affinity": chance.random() < 0.4})]


def one_event(kind, pods, chance, now):
    if kind == "pod":
        return pod_event(pods, chance, now)
    if kind == "roll":
        return roll_event(pods, chance, now)
    if kind == "service":
        return service_event(chance)
    if kind == "kill":
        return [("kill", round(chance.choice((0, 0, 0.2, 1, 4)), 1))]  # seconds until the next start
    if kind == "damage":
        return [("damage", chance.choice(DAMAGES))]
    return [("more", chance.randrange(1, 30))]  # so many other Services


def plan(seconds, seed):
    """[(time in seconds, event)], ordered."""
    chance, pods, events, now = random.Random(seed), Pods(), [], 1.0
    kinds = [kind for kind, times in KINDS for _ in range(times)]
    while now < seconds:
        pods.pass_time(now)
        for event in one_event(chance.choice(kinds), pods, chance, now):
            events.append((round(now, 2), event))
        now += chance.choice((0.02, 0.1, 0.5, 1, 2))
    return events
