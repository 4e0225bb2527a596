# SPDX-License-Identifier: Apache-2.0
"""The nodes: test kernels that run test/cluster/nodes/node, each on its tap device."""

import concurrent.futures
import datetime
import itertools
import json
import shlex
import shutil
import signal
import time

from layout import HERE, NODES, TREE, wait_until
from processes import Process

MEMORY_MB = 3072


class Machine:
    """The test kernel of a node."""

    def __init__(self, layout, node):
        self.layout = layout
        self.node = node
        self.share = layout.share_of(node)
        self.process = Process(layout.directory, node.name)
        self._commands = itertools.count()

    def start(self):
        """Boots it, unless it runs."""
        if self.process.pid():
            return
        requests = self.share / "requests"
        shutil.rmtree(requests, ignore_errors=True)
        requests.mkdir()
        (self.share / "kubeconfig").write_bytes(self.layout.kubeconfig.read_bytes())
        (self.share / "environment").write_text("".join(f"{name}={shlex.quote(str(value))}\n" for name, value in {
            "NODE": self.node.name, "NODE_IP": self.node.address, "POD_NETWORK": self.node.pods,
            "OTHERS": " ".join(f"{other.pods}={other.address}" for other in NODES if other is not self.node),
            "ASSETS": self.layout.assets, "IMAGES": self.layout.images}.items()))
        self.process.start(
            self.layout.inside(TREE / "test/kernel/run", "--memory", MEMORY_MB, "--cpus", 1, "--timeout", 0,
                               "--tap", self.node.tap, "--disk", self.layout.disk, "--share", self.share, "--",
                               HERE / "node", self.share),
            {"KUBE_IPVS_OUT": str(self.share)})

    def cut_power(self):
        """Ends it as a power cut would."""
        self.process.end(signal.SIGTERM)

    def run(self, script, seconds=120):
        """Runs a shell script on the node and returns (exit code, output)."""
        name = f"{time.monotonic_ns()}-{next(self._commands)}"
        requests = self.share / "requests"
        (requests / f"{name}.new").write_text(script)
        (requests / f"{name}.new").rename(requests / f"{name}.sh")
        code = requests / f"{name}.code"
        wait_until(f"{self.node.name}: {script}", code.exists, seconds, pause=0.2)
        return int(code.read_text() or 1), (requests / f"{name}.out").read_text(errors="replace")


def clocks(layout, nodes):
    """How far each node's clock is ahead of this host's, in seconds; only the difference between two calls means
    something. If the host is a virtual machine and is moved to other hardware, the nodes' clocks may jump by days, and
    all their connections time out."""
    def ahead(node):
        _, output = Machine(layout, node).run("cat /proc/uptime")
        return float(output.split()[0]) - time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return dict(zip((node.name for node in nodes), pool.map(ahead, nodes)))


def give_images(layout):
    """Imports on each node the images of kube-ipvs that are newer than its boot."""
    script = shlex.join([str(HERE / "import-images"), str(layout.images)])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda node: Machine(layout, node).run(script, 300), NODES))
    for node, (code, output) in zip(NODES, done):
        if code:
            raise SystemExit(f"cluster: {node.name}: {output}")


def node_object(node):
    """The Node as it is before its kubelet comes: the network of its Pods is given, not allocated. (A kubelet of 1.20
    crashes on a Node without any capacity.)"""
    return json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name},
                       "status": {"capacity": {"cpu": "1"}, "allocatable": {"cpu": "1"}},
                       "spec": {"podCIDR": str(node.pods), "podCIDRs": [str(node.pods)]}})


def ready_nodes(layout):
    """The names of the Nodes whose kubelets have said since the last boot that they are ready."""
    booted = {node.name: Machine(layout, node).process.since() for node in NODES}
    nodes = json.loads(layout.kubectl("get", "nodes", "-o", "json"))["items"]
    return {item["metadata"]["name"] for item in nodes
            if any(condition["type"] == "Ready" and condition["status"] == "True" and
                   _seconds(condition["lastHeartbeatTime"]) >= booted[item["metadata"]["name"]]
                   for condition in item.get("status", {}).get("conditions", []))}


def _seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
