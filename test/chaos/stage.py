# SPDX-License-Identifier: Apache-2.0
#
# Carries events out in the lab of test/e2e, and writes down what the judge needs: damage windows, and when pods began
# to leave and ended.
import json
import math
import time
from collections import Counter
from dataclasses import dataclass

from agents import Agents
from cluster import ApiServer, Manifests
from checks import wait_until
from damage import Damage
from events import APPS, GRACE
from objects import ECHO, HTTP, affinity, address_of, pod, service
from traffic import Clients, Way

NODE = "203.0.113.1"
VIP = {"web": "10.96.1.1", "talk": "10.96.1.2", "flip": "10.96.1.3", "sticky": "10.96.1.4", "names": "10.96.1.5"}
EXTERNAL = {"web": "192.0.2.30", "talk": "192.0.2.31", "sticky": "192.0.2.32", "names": "192.0.2.33"}
BALANCED = {"web": "192.0.2.40", "talk": "192.0.2.41", "sticky": "192.0.2.42", "names": "192.0.2.43"}
FLIP_BALANCED = "192.0.2.49"
PORTS = {"web": [{"name": "http", "port": 80, "targetPort": 80, "nodePort": 30080}],
         "names": [{"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}],
         "talk": [{"name": "echo", "port": 7, "nodePort": 30007}],
         "sticky": [{"name": "http", "port": 80, "targetPort": 80, "nodePort": 30081}]}
APP_OF = {"web": "web", "names": "web", "sticky": "web", "talk": "talk", "flip": "talk"}
# A pod ends when the agent has had so many seconds to see that it leaves, and not while there is no agent or no API
# server: as a kubelet's pod, which also lives for a while after the last that was said of it.
SEEN = 6
MOST_AFTER = 150  # seconds that what has been begun takes after the last event


@dataclass
class Leaving:
    """A pod that leaves: since when, with which writing that was said, when the cluster was seen to have it."""
    app: str
    since: float
    number: int = 0
    said: float | None = None


class Stage:
    def __init__(self, lab, seed, programs, where):
        self.lab, self.seed, self.story, self.events = lab, seed, [], Counter()
        self.cluster = ApiServer(lab, where) if where else Manifests(lab)
        self.agents = Agents(lab, self.cluster, programs, self.tell)
        self.ready = {app: list(numbers[:2]) for app, numbers in APPS.items()}
        self.unready = {}  # number: (app, until when)
        self.leaving = {}  # number: Leaving
        self.later, self.orders, self.more = [], [], 0  # (time, event); what the API server is to do
        self.damages, self.pod_ends, self.leaves, self.clients = [], {}, {}, []
        self.damaged_since, self.looked_at, self.repaired = None, 0, []
        self.damage_maker = Damage(lab, self.servers(), self.addresses(), seed)
        self.clock = time.time() - time.monotonic()

    def tell(self, what):
        self.story.append((time.monotonic(), what))

    # --- the set-up ---

    def set_up(self):
        lab = self.lab
        lab.add_worker()
        lab.add_pods(client=11, far_client="2.11")
        self.cluster.write("clients", pod("client", 11, {"app": "client"}))
        for app, numbers in self.ready.items():
            for number in numbers:
                lab.add_pod(f"{app}-{number}", number)
        self.write_pods()
        for name in VIP:
            if name == "flip":
                self.change_service({"type": "ClusterIP", "external": "Cluster", "internal": "Cluster",
                                     "affinity": False})
            else:
                self.change_policy(name, "Cluster", "Cluster")
        # Ahead of the API server's clock, so that its certificate is valid whatever the clock is set to.
        self.clock += 10 * 86400
        self.set_clock(0)
        wait_until("the API server has all", 60, lambda: self.cluster.has(self.cluster.written))
        self.agents.start()
        wait_until("all is served", 60, lambda: self.agents.able_since() and not self.differences())
        self.damage_maker.remember()

    def start_traffic(self):
        places = {"outside": self.lab.outside, "host": self.lab.node, "pod": self.lab["client"],
                  "pod elsewhere": self.lab["far-client"]}
        kinds = (("request", "web", 80, 30080), ("datagram", "names", 53, 30053), ("connection", "talk", 7, 30007),
                 ("affine", "sticky", 80, 30081))
        for place, there in places.items():
            ways = [Way(f"{place} to flipping Service", "request", VIP["flip"], 80),
                    Way(f"{place} to flipping Service", "connection", VIP["flip"], 7)]
            if place == "host":
                ways += [Way("host to a pod itself", "direct", address_of(number), 80)
                         for numbers in APPS.values() for number in numbers]
            if place == "outside":
                ways = []  # a cluster IP from outside is no promise: whether a policy serves it changes
            for kind, of, port, node_port in kinds:
                ways += [Way(f"{place} to {what}", kind, *address) for what, address in (
                    ("cluster IP", (VIP[of], port)), ("external IP", (EXTERNAL[of], port)),
                    ("load balancer IP", (BALANCED[of], port)), ("node port", (NODE, node_port)))]
            name = f"clients-{len(self.clients)}"
            with there.namespace:
                self.lab.fork(name, Clients(ways, self.seed, len(self.clients)))
            self.clients.append(name)

    def stop_traffic(self):
        """All records."""
        records = []
        for name in self.clients:
            self.lab.stop(name)
            with open(f"{self.lab.directory}/log-{name}", encoding="utf-8") as file:
                records += [json.loads(line) for line in file if line.startswith("{")]
        return records

    # --- events ---

    def play(self, events, begin):
        """Until the last one is over. `begin`: of the run, on the monotonic clock. Where an event takes long, those
        after it come later, too: their order and distance are what makes the plan right."""
        waiting, last = list(events), time.monotonic()
        while waiting or self._goes_on():
            now = time.monotonic()
            if not waiting:
                self.later.clear()  # where pods have ended late, many are waiting to come or to leave
            if now > last + MOST_AFTER:
                self.agents.deaths.append(f"it does not end: {self._goes_on()}")
                return
            self.go_on(now)
            if waiting and begin + waiting[0][0] <= now:
                last, (when, event) = now, waiting.pop(0)
                self.count(event)
                self.happen(event)
                begin += max(0, time.monotonic() - begin - when)
            else:
                time.sleep(0.02)

    def _goes_on(self):
        if self.leaving or self.unready or self.later or self.orders or self.damaged_since or self.agents.busy():
            return [self.leaving, self.unready, self.later, self.orders, self.damaged_since, self.agents.running]
        if self.able_for(0, 0) and self.cluster.has(self.cluster.written):
            return None
        return ["the agent or the API server is not there"]

    def able_for(self, seconds, since):
        """For so long, and since then, the agent has been able to see what the cluster says."""
        times = (self.agents.able_since(), self.cluster.well_since(), since)
        return None not in times and max(times) + seconds <= time.monotonic()

    def go_on(self, now):
        """What has been begun."""
        self.agents.go_on(now)
        for number, each in list(self.leaving.items()):
            if each.said is None and self.cluster.has(each.number):
                each.said = now
            if each.since + GRACE <= now and self.able_for(SEEN, each.said):
                self.end_pod(number, each.app)
        for number, (app, until) in list(self.unready.items()):
            if until <= now:
                del self.unready[number]
                self.ready[app].append(number)
                self.leaves[f"{app}-{number}"][-1][1] = now
                self.write_pods()
        for due in [each for each in self.later if each[0] <= now]:
            self.later.remove(due)
            self.happen(due[1])
        if self.orders and self.agents.able_since() and self.cluster.has(self.cluster.written):
            self.order(self.orders.pop(0))
        if self.damaged_since and self.looked_at + 0.1 <= now:
            self.look()

    def look(self):
        """Whether the damage has been repaired."""
        alive = {address_of(number) for numbers in self.ready.values() for number in numbers}
        alive |= {address_of(number) for number in (*self.unready, *self.leaving)}
        if self.damage_maker.serves(alive) and all(condition() for condition in self.repaired):
            self.damages.append((self.damaged_since, time.monotonic()))
            self.tell(f"all is right again, {time.monotonic() - self.damaged_since:.1f} s after the damage")
            self.damaged_since, self.repaired = None, []
        self.looked_at = time.monotonic()

    def count(self, event):
        kind, *of = event
        if kind == "api" and not self.cluster.fails:
            kind, of = "left out", ()
        self.events[f"API server: {of[0]}" if kind == "api" else kind.removesuffix(" later")] += 1

    def happen(self, event):
        kind, *of = event
        if kind not in ("add", "leave", "leave later", "api"):  # those say it when they do it
            self.tell(" ".join(str(word) for word in event))
        {"add": self.add_pod, "leave": self.leave, "leave later": self.leave_later, "unready": self.make_unready,
         "service": self.change_service, "policy": self.change_policy, "more": self.write_more,
         "damage": self.damage, "clock": self.set_clock, "api": self.plan_order,
         "kill": self.agents.kill, "upgrade": self.agents.upgrade, "memory": self.agents.memory,
         "buffers": self.agents.buffers, "storm": self.agents.storm}[kind](*of)

    def add_pod(self, app, number):
        if number in (*self.leaving, *self.unready, *self.ready[app]):  # its end is late, or its leaving
            self.later.append((time.monotonic() + 0.5, ("add", app, number)))
            return
        self.tell(f"{app}-{number} comes")
        self.lab.add_pod(f"{app}-{number}", number)
        self.ready[app].append(number)
        self.write_pods()

    def can_do_without(self, app, number):
        """Another one is ready, and the agent has seen it."""
        return number in self.ready[app] and len(self.ready[app]) > 1

    def leave(self, app, number):
        if not self.can_do_without(app, number):
            self.later.append((time.monotonic() + 0.5, ("leave", app, number)))
            return
        self.tell(f"{app}-{number} leaves")
        self.ready[app].remove(number)
        self.leaving[number] = Leaving(app, time.monotonic())
        self.leaves.setdefault(f"{app}-{number}", []).append([time.monotonic(), math.inf])
        self.write_pods()
        self.leaving[number].number = self.cluster.written

    def leave_later(self, app, number):
        self.later.append((time.monotonic() + 1, ("leave", app, number)))

    def make_unready(self, app, number, seconds):
        if not self.can_do_without(app, number):
            return
        self.ready[app].remove(number)
        self.unready[number] = (app, time.monotonic() + seconds)
        self.leaves.setdefault(f"{app}-{number}", []).append([time.monotonic(), math.inf])
        self.write_pods()

    def end_pod(self, number, app):
        since = self.leaving.pop(number).since
        self.tell(f"the end of {app}-{number}")
        self.leaves[f"{app}-{number}"][-1][1] = time.monotonic()
        # The API's times are whole seconds: for the agent its grace period is over up to a second earlier.
        self.pod_ends.setdefault(f"{app}-{number}", []).append((since + GRACE - 1, time.monotonic()))
        self.write_pods()
        self.lab.kill(f"{app}-{number}")  # who is still connected would keep it from ending
        self.lab.remove_pod(f"{app}-{number}")

    def write_pods(self):
        def one(app, number, **more):
            return pod(f"{app}-{number}", number, {"app": app}, **more)
        pods = [one(app, number, ready=True) for app, numbers in self.ready.items() for number in numbers]
        pods += [one(app, number, ready=False) for number, (app, _) in self.unready.items()]
        pods += [one(app, number, ready=True, deleted_in=GRACE, grace=GRACE)
                 for number, app in ((number, each.app) for number, each in self.leaving.items())]
        self.cluster.write("pods", *pods)

    def change_policy(self, name, external, internal):
        more = affinity(3600) if name == "sticky" else {}
        self.cluster.write(name, service(name, VIP[name], {"app": APP_OF[name]}, type="LoadBalancer",
                                         ingress=[BALANCED[name]], externalIPs=[EXTERNAL[name]], ports=PORTS[name],
                                         externalTrafficPolicy=external, internalTrafficPolicy=internal, **more))

    def change_service(self, wanted):
        more = affinity(600) if wanted["affinity"] else {}
        if wanted["type"] != "ClusterIP":
            more.update(type=wanted["type"], externalTrafficPolicy=wanted["external"])
        if wanted["type"] == "LoadBalancer":
            more.update(ingress=[FLIP_BALANCED])
        self.cluster.write("flip", service("flip", VIP["flip"], {"app": "talk"},
                                           internalTrafficPolicy=wanted["internal"],
                                           ports=[{**HTTP, "targetPort": 80}, ECHO], **more))

    def write_more(self, count):
        self.more = count
        self.cluster.write("more", *(service(f"more-{n}", f"10.96.7.{n}", {"app": "web"}) for n in range(1, count)))

    def set_clock(self, offset):
        time.clock_settime(time.CLOCK_REALTIME, self.clock + time.monotonic() + offset)

    def damage(self, what):
        self.damaged_since = self.damaged_since or time.monotonic()
        self.repaired.append(self.damage_maker.do(what))

    # --- the API server's ---

    def plan_order(self, what):
        """One after the other: each when the agent has seen all before."""
        if self.cluster.fails:
            self.orders += ["remember", what] if what in ("forget", "old") else [what]

    def order(self, what):
        """What is written between "remember" and "forget" is forgotten, and written again later."""
        if what in ("forget", "old"):
            self.write_more(self.more % 29 + 1)
            wait_until("the API server has it", 20, lambda: self.cluster.has(self.cluster.written))
        self.tell(f"the API server: {what}")
        self.cluster.order(what)

    # --- what the kernel should hold ---

    @staticmethod
    def servers():
        """Those that have traffic, and are there whatever happens."""
        found = [f"TCP {VIP['flip']}:80", f"TCP {VIP['flip']}:7"]
        for name, ports in PORTS.items():
            for port in ports:
                protocol = port.get("protocol", "TCP")
                found += [f"{protocol} {each[name]}:{port['port']}" for each in (VIP, EXTERNAL, BALANCED)]
                found.append(f"{protocol} {NODE}:{port['nodePort']}")
        return found

    @staticmethod
    def addresses():
        return [*VIP.values(), *EXTERNAL.values(), *BALANCED.values()]

    def expected(self):
        """The endpoints of each."""
        node_ports = {str(port["nodePort"]): (name, port["port"]) for name, ports in PORTS.items() for port in ports}
        names = {each[name]: name for each in (VIP, EXTERNAL, BALANCED) for name in each}
        wanted = {}
        for server in self.servers():
            address, _, port = server.split()[1].rpartition(":")
            name, port = node_ports.get(port) or (names[address], port)
            wanted[server] = {f"{address_of(number)}:{port}" for number in self.ready[APP_OF[name]]}
        for number in range(1, self.more):
            wanted[f"TCP 10.96.7.{number}:80"] = {f"{address_of(each)}:80" for each in self.ready["web"]}
        return wanted

    def differences(self):
        held = self.lab.virtual_servers()
        wrong, expected = [], self.expected()
        for server, endpoints in expected.items():
            found = {endpoint for endpoint, weight in held.get(server, {}).items() if weight != 0}
            if found != endpoints:
                wrong.append(f"{server}: {sorted(found)}, not {sorted(endpoints)}")
        for server in held.keys() - expected.keys():
            if server.split()[1].startswith("10.96.7."):
                wrong.append(f"{server} should not be there")
        if not self.damage_maker.addresses_are_there():
            wrong.append("an address is missing")
        if self.damage_maker.parts and not self.damage_maker.table_is_complete():
            wrong.append("the table is not complete")
        if self.damage_maker.parts and not self.damage_maker.settings_are_right():
            wrong.append("a sysctl is not right")
        return wrong
