# SPDX-License-Identifier: Apache-2.0
"""Pods and Services of the trials, and load on them from Pods, from nodes and from outside."""

import json
import subprocess
import sys
import time

import images
from layout import NODES, TREE, wait_until

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


def available(layout, name):
    """Waits until all replicas of a Deployment are available."""
    layout.kubectl("rollout", "status", f"deployment/{name}", "--timeout=240s", timeout=300)


def pods(layout, selector):
    """The running Pods with these labels that are not being deleted."""
    items = json.loads(layout.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
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


# Ends with its input: no signal gets into a Pod.
_LOAD = """import os, signal, sys, threading
sys.path.insert(0, {path!r})
from load import Load
def end():
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
Load({kind!r}, {address!r}, {port}, {workers}, None).run()
"""


class Loads:
    """Load by test/e2e/load.py through each of `nodes`, from outside and from a Pod there, until it is stopped."""

    def __init__(self, layout, cluster_ip, nodes=NODES):
        for node in nodes:  # a proxy that runs may not serve yet
            wait_for_name(layout, f"http://{node.address}:{NODE_PORT}/", 300)
        self.began = time.monotonic()
        self.running = {}
        for node in nodes:
            outside = layout.inside(sys.executable)
            in_pod = layout.kubectl_command("exec", "-i", f"client-{node.number}", "--", "python3")
            here = str(TREE / "test/e2e")
            self._start(f"outside to {node.name}", outside, here, "requests", node.address, NODE_PORT, 2)
            self._start(f"connections through {node.name}", outside, here, "connections", node.address,
                        NODE_PORT + 1, 4)
            self._start(f"a Pod on {node.name}", in_pod, "/server", "requests", cluster_ip, 80, 1)

    def _start(self, name, python, path, kind, address, port, workers):
        program = _LOAD.format(path=path, kind=kind, address=address, port=port, workers=workers)
        # pylint: disable-next=consider-using-with  # stop() waits for it
        self.running[name] = subprocess.Popen([*python, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                              text=True)

    def stop(self):
        """Ends the load; prints and returns what became of each. One that had ended before counts as a failure."""
        early = {name for name, process in self.running.items() if process.poll() is not None}
        for process in self.running.values():
            process.stdin.close()
        print(f"after {time.monotonic() - self.began:.0f} s:")
        results = {}
        for name, process in self.running.items():
            results[name] = json.loads(process.stdout.read() or "{}")
            code = process.wait()
            if name in early:
                results[name]["failed"] = results[name].get("failed", 0) + 1
                results[name].setdefault("errors", {})[f"it ended by itself, with {code}"] = 1
            shown = {key: results[name].get(key) for key in ("total", "failed", "slowest_ms", "errors", "broken")}
            if failed_at := results[name].get("failed_at"):
                shown["failed_at"] = [time.strftime("%T", time.localtime(at)) for at in failed_at]
            print(f"  {name}: {shown}", flush=True)
        return results


def failures(results, ended=()):
    """How many exchanges failed, and of how many. Connections to the servers `ended` have to break and do not count."""
    broken = sum(result.get("broken", {}).get(name, 0) for result in results.values() for name in ended)
    return (sum(result.get("failed", 1) for result in results.values()) - broken,
            sum(result.get("total", 0) for result in results.values()))


def wait_for_name(layout, url, seconds=60):
    """What a server answers to a request from outside, as soon as it does."""
    def answer():
        done = subprocess.run(layout.inside("curl", "-s", "--max-time", "5", url), capture_output=True, text=True,
                              check=False)
        return done.stdout.strip()
    return wait_until(f"an answer from {url}", answer, seconds)
