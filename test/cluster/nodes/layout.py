# SPDX-License-Identifier: Apache-2.0
"""Where everything of the cluster is: addresses, paths, and how its programs are run."""

import hashlib
import ipaddress
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[2]

BRIDGE = "cluster0"
CONTROL_PLANE = "10.240.0.1"
SERVICE_RANGE = "10.96.0.0/16"
POD_RANGE = "10.244.0.0/16"


class Node:
    """One of the test kernels: its name, its address on the bridge, and the network of its Pods."""

    def __init__(self, number):
        self.number = number
        self.name = f"node-{number}"
        self.tap = f"cluster-node{number}"
        self.address = f"10.240.0.{10 + number}"
        self.pods = ipaddress.ip_network(f"10.244.{number}.0/24")


NODES = [Node(number) for number in (1, 2, 3)]


class Layout:
    """The directory of one cluster (see `cluster --help`), and the programs it is made of."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        # Clusters in other directories have other network namespaces, and may have the same addresses.
        self.namespace = f"cluster-{hashlib.sha256(bytes(self.directory)).hexdigest()[:8]}"
        self.assets = pathlib.Path(os.environ.get("KUBEBUILDER_ASSETS") or self.directory / "assets").resolve()
        self.images = self.directory / "images"
        self.disk = self.directory / "images.ext4"
        self.control_plane = self.directory / "control-plane"
        self.kubeconfig = self.control_plane / "kubeconfig"
        self.images.mkdir(parents=True, exist_ok=True)

    def program(self, name):
        """The path of a program of the assets; ends with a clear line if it is not there."""
        path = self.assets / name
        if not path.exists():
            raise SystemExit(f"cluster: {path} is missing: test/cluster/build-assets --cluster makes it")
        return str(path)

    def share_of(self, node):
        """The directory that this host and the node's kernel both see."""
        path = self.directory / node.name
        path.mkdir(exist_ok=True)
        return path

    def inside(self, *command):
        """The command line that runs `command` in the cluster's network namespace."""
        return ["ip", "netns", "exec", self.namespace, *map(str, command)]

    def kubectl_command(self, *arguments):
        """The command line of kubectl as the cluster's administrator."""
        return self.inside(self.program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments)

    def kubectl(self, *arguments, check=True, text=None, timeout=300):
        """Runs kubectl and returns its output."""
        done = subprocess.run(self.kubectl_command(*arguments), input=text, capture_output=True, text=True,
                              timeout=timeout, check=False)
        if check and done.returncode:
            raise SystemExit(f"cluster: kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout


def is_newer(path, sources):
    """Whether the file `path` is there and was written after each of the files `sources`."""
    return path.exists() and all(os.stat(source).st_mtime < path.stat().st_mtime for source in sources)


def wait_until(what, condition, seconds, pause=1.0):
    """Waits for `condition` to be true and returns what it returned; ends the run after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise SystemExit(f"cluster: {what}: not after {seconds} s")
        time.sleep(pause)
