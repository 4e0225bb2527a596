# SPDX-License-Identifier: Apache-2.0
"""The proxies that the cluster can have: kube-ipvs by its own chart, and kube-proxy in the way kubeadm installs it."""

import json
import os
import subprocess

import images
from layout import CONTROL_PLANE, NODES, POD_RANGE, TREE, is_newer, wait_until
from machines import give_images

NAMES = ("kube-ipvs", "kube-proxy-ipvs", "kube-proxy-iptables")
REPOSITORY = "kube-ipvs.test/kube-ipvs"
AGENT = TREE / "build/cluster/kube-ipvs"


def image(layout, tag="dev"):
    """Makes the image of kube-ipvs from the agent of this tree (KUBE_IPVS_AGENT names another one)."""
    agent = os.environ.get("KUBE_IPVS_AGENT", AGENT)
    program = TREE / "packaging/image"
    directory = layout.images / f"kube-ipvs-{tag}"
    made = sorted(directory.glob("*.tar"))
    if made and is_newer(made[0], [agent, *program.iterdir()]):
        return
    for old in made:
        old.unlink()
    subprocess.run([program / "build", "--binary", agent, "--name", f"{REPOSITORY}:{tag}",
                    "--debs", layout.images / "debs", "--output", directory], check=True, stdout=subprocess.DEVNULL)
    # The nodes keep what they have read of a file, so another image needs another name.
    for new in directory.glob("*.tar"):
        new.rename(directory / f"{new.stat().st_mtime_ns}.tar")


def server(layout):
    """The URL of the API server: kube-ipvs cannot reach it by a cluster IP that it serves itself."""
    port = dict(line.split("=") for line in (layout.control_plane / "env").read_text().split())["PORT"]
    return f"https://{CONTROL_PLANE}:{port}"


def rendered(layout, *values):
    """The objects of the chart, as YAML."""
    tools = subprocess.run([TREE / "test/packaging/fetch-helm"], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    command = [f"{tools[-1]}/helm/helm", "template", "kube-ipvs", TREE / "packaging/helm/kube-ipvs",
               "--namespace=kube-system", "--kube-version=1.20.2"]
    for value in (f"image.repository={REPOSITORY}", "image.tag=dev", "kubeProxyLabel=true",
                  "updateStrategy.rollingUpdate.maxUnavailable=1", f"apiServer={server(layout)}",
                  f"config.clusterCIDR={POD_RANGE}", *values):
        command.append(f"--set={value}")
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def _kube_proxy(layout, mode):
    labels = {"k8s-app": "kube-proxy"}
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": mode,
        "clusterCIDR": POD_RANGE, "bindAddress": "0.0.0.0", "conntrack": {"maxPerCore": 0},
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"}}
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "default",
        "clusters": [{"name": "default", "cluster": {
            "server": server(layout),
            "certificate-authority": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"}}],
        "users": [{"name": "default", "user": {
            "tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}]}
    in_system = {"name": "kube-proxy", "namespace": "kube-system"}
    container = {
        "name": "kube-proxy", "image": images.KUBE_PROXY, "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf",
                    "--hostname-override=$(NODE_NAME)"],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "config", "mountPath": "/var/lib/kube-proxy"},
                         {"name": "modules", "mountPath": "/lib/modules", "readOnly": True},
                         {"name": "lock", "mountPath": "/run/xtables.lock"}]}
    template = {"metadata": {"labels": labels}, "spec": {
        "hostNetwork": True, "serviceAccountName": "kube-proxy", "priorityClassName": "system-node-critical",
        "tolerations": [{"operator": "Exists"}], "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "kube-proxy"}},
                    {"name": "modules", "hostPath": {"path": "/lib/modules"}},
                    {"name": "lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}}]}}
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": in_system},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": "test:node-proxier"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
         "subjects": [{"kind": "ServiceAccount", **in_system}]},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": in_system,
         "data": {"config.conf": json.dumps(configuration), "kubeconfig.conf": json.dumps(kubeconfig)}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {**in_system, "labels": labels},
         "spec": {"selector": {"matchLabels": labels}, "template": template}}]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def objects(layout, name, *values):
    """All objects of the proxy `name`; `values` are those of the chart."""
    return rendered(layout, *values) if name == "kube-ipvs" else _kube_proxy(layout, name.removeprefix("kube-proxy-"))


def daemon_set(name):
    """The name of its DaemonSet."""
    return "kube-ipvs" if name == "kube-ipvs" else "kube-proxy"


def all_run(layout, name):
    """Whether its newest Pods are ready on all nodes."""
    status = json.loads(layout.kubectl("-n", "kube-system", "get", "daemonset", daemon_set(name), "-o", "json"))
    wanted, generation = status["status"], status["metadata"]["generation"]
    return (wanted.get("observedGeneration") == generation and all(
        wanted.get(number) == len(NODES)
        for number in ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady")))


def install(layout, name, *values):
    """Installs or changes the proxy and returns when it runs everywhere."""
    give_images(layout)
    layout.kubectl("apply", "-f", "-", text=objects(layout, name, *values))
    wait_until(f"{name} is ready on all nodes", lambda: all_run(layout, name), 600)


def installed(layout):
    """The names of the DaemonSets of proxies that are there."""
    names = layout.kubectl("-n", "kube-system", "get", "daemonsets", "-o", "name").split()
    return {name.rsplit("/", 1)[1] for name in names}


def replace(layout, name):
    """Removes what is installed, then installs `name`."""
    for other in installed(layout) - ({daemon_set(name)} if name != "none" else set()):
        layout.kubectl("-n", "kube-system", "delete", "daemonset", other, "--wait=true", "--timeout=300s")
    if name != "none":
        install(layout, name)
