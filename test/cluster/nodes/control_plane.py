# SPDX-License-Identifier: Apache-2.0
"""The control plane, in a network namespace of its own beside the nodes: the bridge that connects them, etcd and the
API server (test/cluster/apiserver), the controllers, the scheduler, and a name server."""

import subprocess

from layout import BRIDGE, CONTROL_PLANE, HERE, NODES, POD_RANGE, SERVICE_RANGE, wait_until
from processes import Process


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def _namespace_exists(name):
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return name in (line.split()[0] for line in listed.splitlines() if line)


def connect(layout):
    """Makes the network namespace, its bridge, and the tap device of each node."""
    if _namespace_exists(layout.namespace):
        return
    _ip("netns", "add", layout.namespace)
    inside = ("-n", layout.namespace)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "link", "add", BRIDGE, "type", "bridge")
    _ip(*inside, "address", "add", f"{CONTROL_PLANE}/24", "dev", BRIDGE)
    _ip(*inside, "link", "set", BRIDGE, "up")
    for node in NODES:
        _ip(*inside, "tuntap", "add", node.tap, "mode", "tap")
        _ip(*inside, "link", "set", node.tap, "master", BRIDGE, "up")
        _ip(*inside, "route", "add", str(node.pods), "via", node.address)


def disconnect(layout):
    """Deletes the network namespace with all that is in it."""
    if _namespace_exists(layout.namespace):
        _ip("netns", "delete", layout.namespace)


class ControlPlane:
    """The processes of the control plane. `layout.kubeconfig` is its administrator's."""

    def __init__(self, layout):
        self.layout = layout
        self.apiserver = Process(layout.directory, "apiserver")
        self.others = [Process(layout.directory, name) for name in ("controllers", "scheduler", "dns")]

    def start(self):
        """Starts what does not run, and returns when the API server answers."""
        layout = self.layout
        ready = layout.control_plane / "env"
        if not self.apiserver.pid():
            ready.unlink(missing_ok=True)  # of one that was killed
        self.apiserver.start(
            layout.inside(HERE.parent / "apiserver", layout.control_plane, "--bind", CONTROL_PLANE,
                          "--advertise", CONTROL_PLANE, "--service-cluster-ip-range", SERVICE_RANGE,
                          "--service-accounts", "--", "--allow-privileged=true",
                          "--kubelet-preferred-address-types=InternalIP"),
            {"KUBEBUILDER_ASSETS": str(layout.assets)})
        wait_until("the API server", ready.exists, 120)
        self._start_the_others()

    def _start_the_others(self):
        layout = self.layout
        controllers, scheduler, dns = self.others
        key = layout.control_plane / "service-account.key"
        kubeconfig = f"--kubeconfig={layout.kubeconfig}"
        # A node that is cut off is taken for lost after 40 s by default, and an emulated one may take long to answer.
        controllers.start(layout.inside(
            layout.program("kube-controller-manager"), kubeconfig, "--leader-elect=false",
            f"--service-account-private-key-file={key}", f"--root-ca-file={layout.control_plane / 'ca.crt'}",
            f"--cluster-cidr={POD_RANGE}", "--allocate-node-cidrs=false", "--node-monitor-grace-period=90s",
            "--controllers=*,-nodeipam,-ttl,-cloud-node-lifecycle,-route,-persistentvolume-binder,-attachdetach"))
        scheduler.start(layout.inside(layout.program("kube-scheduler"), kubeconfig, "--leader-elect=false"))
        dns.start(layout.inside("/usr/bin/python3", HERE / "dns", layout.kubeconfig, CONTROL_PLANE))

    def end(self):
        """Ends all of it."""
        for process in (*self.others, self.apiserver):
            process.end()
