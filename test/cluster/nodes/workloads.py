# SPDX-License-Identifier: Apache-2.0
"""Pods and Services of the trials, and load on them from Pods, from nodes and from outside."""

import json
import subprocess
import sys
import time

import images
from layout import NODES, TREE, wait_until

SERVER_PORTS = {"http": 80, "echo": 7}
NODE_PORT = 30180


def deployment(name, image, replicas, labels, ports):
    """A Deployment whose Pods are on different nodes where they can be."""
    spread = {"weight": 100, "podAffinityTerm": {
        "topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}}
    probe = {"tcpSocket": {"port": ports[0]}, "periodSeconds": 2, "timeoutSeconds": 10}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [spread]}},
            "containers": [{"name": name, "image": image, "imagePullPolicy": "IfNotPresent",
                            "readinessProbe": probe,
                            "ports": [{"name": f"port-{port}", "containerPort": port} for port in ports]}]}}}}


def apply(layout, *objects):
    """Creates or changes objects."""
    layout.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def available(layout, name, namespace="default"):
    """Waits until all replicas of a Deployment are available."""
    layout.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=240s", timeout=300)


def pods(layout, selector, namespace="default"):
    """The running Pods with these labels that are not being deleted."""
    items = json.loads(layout.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))["items"]
    return [pod for pod in items
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]]


def servers(layout, replicas):
    """Servers of test/e2e/server.py behind the Service `server`, and a client Pod on each node."""
    apply(layout, deployment("server", images.SERVER, replicas, {"app": "server"}, [80, 7]),
          {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": {
              "type": "NodePort", "selector": {"app": "server"}, "ports": [
                  {"name": "http", "port": 80, "nodePort": NODE_PORT},
                  {"name": "echo", "port": 7, "nodePort": NODE_PORT + 1}]}},
          *({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"client-{node.number}"}, "spec": {
              "nodeName": node.name, "containers": [{
                  "name": "client", "image": images.SERVER, "imagePullPolicy": "IfNotPresent",
                  "command": ["sleep", "1000000"]}]}} for node in NODES))
    available(layout, "server")
    layout.kubectl("wait", "--for=condition=Ready", "pod", *(f"client-{node.number}" for node in NODES),
                   "--timeout=300s", timeout=330)
    return layout.kubectl("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}")


_LOAD = "import sys; sys.path.insert(0, {path!r}); from load import Load; Load({kind!r}, {address!r}, {port}, {workers}, None).run()"


class Loads:
    """Load by test/e2e/load.py, until it is stopped. With `names`, only that of these nodes."""

    def __init__(self, layout, cluster_ip, nodes=NODES):
        self.began = time.monotonic()
        self.running = {}
        for node in nodes:
            outside = layout.inside(sys.executable, "-c", _LOAD.format(
                path=str(TREE / "test/e2e"), kind="requests", address=node.address, port=NODE_PORT, workers=2))
            long = layout.inside(sys.executable, "-c", _LOAD.format(
                path=str(TREE / "test/e2e"), kind="connections", address=node.address, port=NODE_PORT + 1, workers=4))
            self.running[f"outside to {node.name}"] = self._start(outside)
            self.running[f"connections through {node.name}"] = self._start(long)
            self.running[f"a Pod on {node.name}"] = self._start(layout.inside(
                layout.program("kubectl"), f"--kubeconfig={layout.kubeconfig}", "exec", "-i", f"client-{node.number}",
                "--", "python3", "-c", _UNTIL_END_OF_INPUT + _LOAD.format(
                    path="/server", kind="requests", address=cluster_ip, port=80, workers=1)))

    @staticmethod
    def _start(command):
        # pylint: disable-next=consider-using-with  # stop() waits for it
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        """Ends the load; prints and returns what became of each."""
        for process in self.running.values():
            process.stdin.close()
            process.terminate() if "kubectl" not in str(process.args) else None
        print(f"after {time.monotonic() - self.began:.0f} s:")
        results = {}
        for name, process in self.running.items():
            results[name] = json.loads(process.stdout.read() or "{}")
            process.wait()
            told = {key: results[name].get(key) for key in ("total", "failed", "slowest_ms", "errors")}
            print(f"  {name}: {told}", flush=True)
        return results


# In a Pod no signal comes, only the end of the input.
_UNTIL_END_OF_INPUT = ("import os, signal, sys, threading\n"
                       "threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)),"
                       " daemon=True).start()\n")


def failures(results):
    """How many exchanges failed, and of how many."""
    return (sum(result.get("failed", 1) for result in results.values()),
            sum(result.get("total", 0) for result in results.values()))


def wait_for_name(layout, url, seconds=60):
    """What a server answers to a request from outside, as soon as it does."""
    def answer():
        done = subprocess.run(layout.inside("curl", "-s", "--max-time", "5", url), capture_output=True, text=True,
                              check=False)
        return done.stdout.strip()
    return wait_until(f"an answer from {url}", answer, seconds)
