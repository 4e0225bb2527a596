# SPDX-License-Identifier: Apache-2.0
#
# What says to the agent what is there: a directory of manifests, or a real API server (outside.py, which runs out of
# the test kernel and makes of it what the stage has last written).
import http.client
import json
import subprocess
import time

from agent import CLUSTER_CIDR, CLUSTER_IPS
from namespace import HOME

LONGEST_PAUSE = 30  # seconds that the agent waits at most before it asks again (Backoff in k8s/watch/watch_policy.hpp)


class Manifests:
    """All is there as soon as it is written."""
    fails = False
    flags = (*CLUSTER_IPS, *CLUSTER_CIDR)
    written = 0  # how often

    def __init__(self, lab):
        self.lab, self.source = lab, ("--manifests", lab.manifests)

    def write(self, name, *objects):
        self.lab.write(f"{name}.yaml", *objects)

    def well_since(self):
        """Since when nothing has been the matter with it, and the agent has asked again; None: something is. By the
        monotonic clock; it may be later than now."""
        return 0

    def has(self, _):
        """What has been written up to this number can be seen."""
        return True


class ApiServer:
    """`where`: of the control server of outside.py, as "10.0.2.2:PORT"."""
    fails = True
    flags = CLUSTER_CIDR

    def __init__(self, lab, where):
        self.lab, self.where, self.objects, self.written = lab, where, {}, 0
        self.looked_at, self.since, self.applied, self.had_trouble = 0, None, 0, False
        with HOME:
            subprocess.run(["ip", "link", "set", "eth0", "netns", lab.node.namespace.path, "name", "uplink"],
                           check=True)
        lab.node.ip("address add 10.0.2.15/24 dev uplink", "link set uplink up")
        path = f"{lab.directory}/kubeconfig"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._call("GET", "/kubeconfig"))
        self.source = ("--kubeconfig", path)

    def write(self, name, *objects):
        self.objects[name] = objects
        everything = [each for objects in self.objects.values() for each in objects]
        self.written = json.loads(self._call("PUT", "/objects", everything))["generation"]
        self.looked_at = 0

    def order(self, what):
        self._call("POST", f"/{what}")
        self.since, self.looked_at = None, 0

    def well_since(self):
        self._look()
        if self.since is None or not self.had_trouble:
            return self.since
        return self.since + LONGEST_PAUSE

    def has(self, number):
        self._look()
        return self.since is not None and self.applied >= number

    def _look(self):
        now = time.monotonic()
        if self.looked_at + 0.2 > now:
            return
        state = json.loads(self._call("GET", "/state"))
        self.looked_at, self.applied = now, state["applied"]
        if not state["well"]:
            self.since, self.had_trouble = None, True
        elif self.since is None:
            self.since = now

    def _call(self, method, path, body=None):
        host, port = self.where.split(":")
        with self.lab.node.namespace:
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.request(method, path, body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
        assert answer.status == 200, f"{method} {path}: {answer.status} {text}"
        return text
