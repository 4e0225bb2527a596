# SPDX-License-Identifier: Apache-2.0
"""What the nodes of test/bench/fleet learn of: manifests for kube-ipvs, an API server for kube-proxy."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../cluster")

SERVER_NETWORK = "10.0.2.0/24"  # of qemu's user networking, where the API server is


def pod_address(number):
    return f"10.244.0.{number}"


def vip(index):
    return f"10.96.0.{10 + index}"


def service(index, scheduler):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": scheduler, "annotations": {"kube-ipvs.io/scheduler": scheduler}},
            "spec": {"clusterIP": vip(index), "selector": {"app": "web"},
                     "ports": [{"port": 80, "targetPort": 8080}]}}


class Manifests:
    """A directory of YAML files, which all agents watch."""

    def __init__(self, options, directory):
        self.agent, self.directory = options["--agent"], directory
        self.has_own_names = options["--names"] == "own"
        os.mkdir(f"{directory}/manifests")

    def _write(self, name, objects):
        with open(f"{self.directory}/{name}", "w", encoding="utf-8") as file:
            file.write("\n---\n".join(json.dumps(item) for item in objects))
        os.rename(f"{self.directory}/{name}", f"{self.directory}/manifests/{name}")

    def write_pods(self, count):
        self._write("pods.yaml", [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"web-{n}", "labels": {"app": "web"}},
             "spec": {"nodeName": "elsewhere", "containers": [{"name": "web", "image": "none"}]},
             "status": {"podIP": pod_address(n), "podIPs": [{"ip": pod_address(n)}], "phase": "Running",
                        "conditions": [{"type": "Ready", "status": "True"}]}}
            for n in range(1, count + 1)])

    def write_services(self, schedulers):
        self._write("services.yaml", [service(*item) for item in enumerate(schedulers)])

    def command(self, number):
        return [self.agent, "--manifests", f"{self.directory}/manifests", "--hostname-override",
                f"node-{number}" if self.has_own_names else "node", "--cluster-cidr", "10.244.0.0/16",
                "--service-cluster-ip-range", "10.96.0.0/12", "--run-dir", f"{self.directory}/run-{number}"]


class ApiServer:
    """A real one, for kube-proxy. It has one scheduler for all Services."""

    def __init__(self, options):
        from api import Client, Cluster

        self.kubeconfig, self.scheduler = options["--kubeconfig"], options["--schedulers"]
        self.client = Client(Cluster(self.kubeconfig))
        for number in range(1, int(options["--nodes"]) + 1):
            self.client.create("/api/v1/nodes", {
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}"},
                "status": {"addresses": [{"type": "InternalIP", "address": f"10.1.0.{number}"}]}})

    def write_pods(self, count):
        """As the controller of EndpointSlices would, for the only Service."""
        slices = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices"
        item = {"apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": self.scheduler}},
                "endpoints": [{"addresses": [pod_address(n)], "conditions": {"ready": True}}
                              for n in range(1, count + 1)],
                "ports": [{"name": "", "protocol": "TCP", "port": 8080}]}
        if self.client.create(slices, item) is None:
            self.client.call("PUT", f"{slices}/web", item)

    def write_services(self, schedulers):
        for index, scheduler in enumerate(schedulers):
            self.client.create("/api/v1/namespaces/default/services", service(index, scheduler))

    def command(self, number):
        return [f"{os.environ['KUBEBUILDER_ASSETS']}/kube-proxy", "--kubeconfig", self.kubeconfig,
                "--hostname-override", f"node-{number}", "--proxy-mode", "ipvs", "--ipvs-scheduler", self.scheduler,
                "--cluster-cidr", "10.244.0.0/16", "--ipvs-sync-period", "1h",  # fifty of them share two CPUs
                # These belong to the host, not to its network namespaces.
                "--conntrack-max-per-core", "0", "--conntrack-tcp-timeout-established", "0",
                "--conntrack-tcp-timeout-close-wait", "0"]
