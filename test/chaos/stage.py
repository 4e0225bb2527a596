# SPDX-License-Identifier: Apache-2.0
#
# Carries events out in the lab of test/e2e, and writes down what the judge needs: damage windows, and when pods began
# to leave and ended.
import json
import time

from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import wait_until
from events import APPS, GRACE
from objects import affinity, address_of, pod, service
from traffic import Clients

VIP, TALK, FLIP, STICKY = "10.96.1.1", "10.96.1.2", "10.96.1.3", "10.96.1.4"
EXTERNAL, BALANCED = "192.0.2.30", "192.0.2.40"
FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR)
TO_WEB = {"ports": [{"name": "http", "port": 80, "targetPort": 80, "nodePort": 30080},
                    {"name": "dns", "port": 53, "protocol": "UDP"}]}


class Stage:
    def __init__(self, lab, seed):
        self.lab, self.seed = lab, seed
        self.ready = {app: list(numbers[:2]) for app, numbers in APPS.items()}
        self.leaving = {}  # number: (app, when it is over)
        self.later = []  # (time, event)
        self.start_agent_at = None
        self.damages, self.pod_ends, self.leaves = [], {}, {}
        self.damaged_since, self.looked_at = None, 0
        self.clients = []
        self.story = []  # (time, what happened)

    # --- the set-up ---

    def set_up(self):
        lab = self.lab
        lab.add_pods(client=11)
        lab.write("client.yaml", pod("client", 11, {"app": "client"}))
        for app, numbers in self.ready.items():
            for number in numbers:
                lab.add_pod(f"{app}-{number}", number)
        self.write_pods()
        lab.write("web.yaml", service("web", VIP, {"app": "web"}, type="LoadBalancer", ingress=[BALANCED],
                                      externalIPs=[EXTERNAL], **TO_WEB))
        lab.write("talk.yaml", service("talk", TALK, {"app": "talk"}, type="NodePort",
                                       ports=[{"name": "echo", "port": 7, "nodePort": 30007}]))
        lab.write("sticky.yaml", service("sticky", STICKY, {"app": "web"}, **affinity(3600)))
        self.change_service({"type": "ClusterIP", "external": "Cluster", "internal": "Cluster", "affinity": False})
        lab.agent.restart(*FLAGS)
        wait_until("all is served", 60, self.is_right)

    def start_traffic(self):
        places = {"host": self.lab.node, "pod": self.lab["client"], "outside": self.lab.outside}
        ways = [(place, "cluster IP", VIP, 80, "request") for place in places]
        ways += [(place, "flipping Service", FLIP, 80, "request") for place in places]
        ways += [("outside", "node port", "203.0.113.1", 30080, "request"),
                 ("outside", "external IP", EXTERNAL, 80, "request"), ("pod", "external IP", EXTERNAL, 80, "request"),
                 ("outside", "load balancer IP", BALANCED, 80, "request"),
                 ("host", "load balancer IP", BALANCED, 80, "request"),
                 ("pod", "cluster IP", VIP, 53, "udp"), ("outside", "load balancer IP", BALANCED, 53, "udp"),
                 ("pod", "sticky Service", STICKY, 80, "affine"), ("host", "sticky Service", STICKY, 80, "affine"),
                 ("pod", "cluster IP", TALK, 7, "connection"), ("host", "cluster IP", TALK, 7, "connection"),
                 ("outside", "node port", "203.0.113.1", 30007, "connection")]
        for place, what, address, port, kind in ways:
            name = f"chaos-{len(self.clients)}"
            workers = 3 if kind == "connection" else 1
            with places[place].namespace:
                self.lab.fork(name, Clients(f"{place} to {what}", kind, address, port, self.seed, workers))
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
        waiting = list(events)
        while waiting or self.leaving or self.later or self.start_agent_at or self.damaged_since:
            now = time.monotonic()
            self.go_on(now)
            if waiting and begin + waiting[0][0] <= now:
                when, event = waiting.pop(0)
                self.happen(event)
                begin += max(0, time.monotonic() - begin - when)
            else:
                time.sleep(0.02)

    def go_on(self, now):
        """What has been begun."""
        if self.start_agent_at and self.start_agent_at <= now:
            self.lab.agent.start(*FLAGS)
            self.start_agent_at = None
            self.story.append((now, "the agent starts"))
        for number, (app, end) in list(self.leaving.items()):
            if end <= now:
                self.end_pod(number, app)
        for due in [each for each in self.later if each[0] <= now]:
            self.later.remove(due)
            self.happen(due[1])
        if self.damaged_since and self.looked_at + 0.3 <= now and self.is_right():
            self.damages.append((self.damaged_since - 0.1, time.monotonic() + 0.5))
            self.story.append((time.monotonic(), "all is right again"))
            self.damaged_since = None

    def happen(self, event):
        kind, *of = event
        self.story.append((time.monotonic(), " ".join(str(word) for word in event)))
        {"add": self.add_pod, "leave": self.leave, "leave later": self.leave_later, "service": self.change_service,
         "kill": self.kill, "damage": self.damage, "more": self.write_more}[kind](*of)

    def add_pod(self, app, number):
        if number in self.leaving:
            self.end_pod(number, app)
        self.lab.add_pod(f"{app}-{number}", number)
        self.ready[app].append(number)
        self.write_pods()

    def leave(self, app, number):
        self.ready[app].remove(number)
        self.leaving[number] = (app, time.monotonic() + GRACE)
        self.leaves.setdefault(f"{app}-{number}", []).append(time.monotonic())
        self.write_pods()

    def leave_later(self, app, number):
        self.later.append((time.monotonic() + 1, ("leave", app, number)))

    def end_pod(self, number, app):
        del self.leaving[number]
        self.story.append((time.monotonic(), f"the end of {app} {number}"))
        self.pod_ends.setdefault(f"{app}-{number}", []).append(time.monotonic())
        self.write_pods()
        self.lab.kill(f"{app}-{number}")  # who is still connected would keep it from ending
        self.lab.remove_pod(f"{app}-{number}")

    def write_pods(self):
        pods = [pod(f"{app}-{number}", number, {"app": app})
                for app, numbers in self.ready.items() for number in numbers]
        pods += [pod(f"{app}-{number}", number, {"app": app}, deleted_in=GRACE, grace=GRACE)
                 for number, (app, _) in self.leaving.items()]
        self.lab.write("pods.yaml", *pods)

    def change_service(self, wanted):
        more = affinity(600) if wanted["affinity"] else {}
        if wanted["type"] != "ClusterIP":
            more.update(type=wanted["type"], externalTrafficPolicy=wanted["external"])
        if wanted["type"] == "LoadBalancer":
            more.update(ingress=["192.0.2.50"])
        self.lab.write("flip.yaml", service("flip", FLIP, {"app": "web"}, internalTrafficPolicy=wanted["internal"],
                                            ports=[{"name": "http", "port": 80, "targetPort": 80}], **more))

    def write_more(self, count):
        self.lab.write("more.yaml", *(service(f"more-{n}", f"10.96.7.{n}", {"app": "web"}) for n in range(1, count)))

    def kill(self, pause):
        if self.start_agent_at:
            return
        self.lab.agent.kill()
        self.start_agent_at = time.monotonic() + pause

    def damage(self, what):
        self.damaged_since = self.damaged_since or time.monotonic()
        run = self.lab.node.succeeds
        if what == "virtual servers":
            run("ipvsadm", "-C")
        elif what == "table":
            run("nft", "flush", "ruleset")
        elif what == "device":
            run("ip", "link", "delete", "kube-ipvs0")
        elif what == "addresses":
            run("ip", "address", "flush", "dev", "kube-ipvs0")
        elif what == "a server":
            run("ipvsadm", "-D", "-t", f"{VIP}:80")
        else:
            run("nft", "delete", "element", "inet", "kube-ipvs", "cluster-ips-4", f"{{ {VIP} . tcp . 80 }}")

    # --- what the kernel should hold ---

    def expected(self):
        web = {f"{address_of(number)}:80" for number in self.ready["web"]}
        talk = {f"{address_of(number)}:7" for number in self.ready["talk"]}
        dns = {each.replace(":80", ":53") for each in web}
        wanted = {f"TCP {address}:80": web for address in (VIP, EXTERNAL, BALANCED, FLIP, STICKY)}
        wanted.update({f"UDP {VIP}:53": dns, f"UDP {BALANCED}:53": dns, "TCP 203.0.113.1:30080": web,
                       "TCP 203.0.113.1:30007": talk, f"TCP {TALK}:7": talk})
        return wanted

    def differences(self):
        held = self.lab.virtual_servers()
        wrong = []
        for server, endpoints in self.expected().items():
            found = {endpoint for endpoint, weight in held.get(server, {}).items() if weight != 0}
            if found != endpoints:
                wrong.append(f"{server}: {sorted(found)}, not {sorted(endpoints)}")
        wrong += [f"{address} is missing" for address in (VIP, TALK, FLIP, STICKY, EXTERNAL, BALANCED)
                  if not self.lab.has_address(address)]
        if not wrong and not self.lab.set_has("cluster-ips-4", f"{VIP} . tcp . 80"):
            wrong.append("the table is not complete")
        return wrong

    def is_right(self):
        self.looked_at = time.monotonic()
        try:
            return not self.differences()
        except Exception:
            return False  # the table is gone
