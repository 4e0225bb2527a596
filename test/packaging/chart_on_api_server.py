# SPDX-License-Identifier: Apache-2.0
"""What a real API server says of the chart, the overlays and the guide's patches. KUBEBUILDER_ASSETS names it."""
import atexit
import json
import os
import re
import subprocess
import time

import yaml

from chart_tools import CHART, OVERLAYS, ROOT, SETS, objects


class ApiServer:
    def __init__(self, tools):
        self.directory = f"{tools.home}/cluster"
        self.child = subprocess.Popen([f"{ROOT}/test/cluster/apiserver", self.directory, "--", "--allow-privileged"],
                                      stdout=subprocess.DEVNULL)
        atexit.register(self.end)
        while not os.path.exists(f"{self.directory}/env"):
            if self.child.poll() is not None:
                raise RuntimeError("the API server has ended")
            time.sleep(0.1)
        tools.environment["KUBECONFIG"] = f"{self.directory}/kubeconfig"

    def end(self):
        self.child.terminate()
        self.child.wait()


def check(tools, results):
    ApiServer(tools)
    kubectl, helm = (tools.kubectl, "-n", "kube-system"), (tools.helm, "-n", "kube-system")
    version = json.loads(tools.output(*kubectl, "version", "-o", "json"))["serverVersion"]["gitVersion"]

    def installed(*words):
        done = tools.run(*helm, *words)
        results.add(done.returncode == 0, f"{version}: helm {words[0]}", done.stderr)
        return done.stdout

    def daemon_set():
        return json.loads(tools.output(*kubectl, "get", "daemonset", "kube-ipvs", "-o", "json"))

    def api_server():
        variables = daemon_set()["spec"]["template"]["spec"]["containers"][0]["env"]
        return next(each["value"] for each in variables if each["name"] == "API_SERVER")

    refused = tools.run(*helm, "install", "kube-ipvs", CHART)
    results.add("apiServer: the URL of the API server is needed" in refused.stderr,
                "without kubeadm's ConfigMaps the API server must be given", refused.stderr)
    kubeconfig = yaml.safe_dump({"clusters": [{"cluster": {"server": "https://198.51.100.7:6443"}}]})
    tools.output(tools.kubectl, "-n", "kube-public", "create", "configmap", "cluster-info",
                 f"--from-literal=kubeconfig={kubeconfig}")
    installed("install", "kube-ipvs", CHART)
    results.add(api_server() == "https://198.51.100.7:6443", "the API server is that of kube-public/cluster-info")
    tools.output(*kubectl, "create", "configmap", "kube-proxy",
                 f"--from-literal=kubeconfig.conf={kubeconfig.replace('.7:', '.8:')}")
    daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "kube-proxy"}, "spec": {
        "selector": {"matchLabels": {"k8s-app": "kube-proxy"}},
        "template": {"metadata": {"labels": {"k8s-app": "kube-proxy"}},
                     "spec": {"containers": [{"name": "kube-proxy", "image": "kube-proxy"}]}}}}
    tools.run(*kubectl, "apply", "-f", "-", input=json.dumps(daemon))
    tools.output(*kubectl, "patch", "daemonset", "kube-proxy", "--subresource=status", "--type=merge", "-p",
                 '{"status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberMisscheduled": 0}}')
    for there, back in (("All nodes", 'After "All nodes"'), ("Node by node", 'After "Node by node"')):
        check_way_back(tools, results, there, back)
    said = installed("upgrade", "kube-ipvs", CHART)
    results.add("WARNING: kube-proxy runs on 3 nodes. It must not" in said, "a kube-proxy that runs is named", said)
    results.add(api_server() == "https://198.51.100.8:6443", "that of kube-proxy's own kubeconfig is preferred")
    wanted = objects(tools.chart("replace-kube-proxy"))["DaemonSet kube-ipvs"]["spec"]
    lost = missing(wanted, daemon_set()["spec"], "198.51.100.8")
    results.add(not lost, f"{version}: the API server drops no field of the DaemonSet", "\n".join(lost))
    account = "--as=system:serviceaccount:kube-system:kube-ipvs"
    for verb, resource, answer in (("watch", "services", "yes"), ("watch", "nodes", "yes"), ("watch", "pods", "yes"),
                                   ("list", "endpointslices.discovery.k8s.io", "yes"),
                                   ("create", "events.events.k8s.io", "yes"), ("get", "secrets", "no"),
                                   ("delete", "pods", "no"), ("update", "services", "no")):
        said = tools.run(tools.kubectl, "auth", "can-i", verb, resource, "-A", account).stdout.strip()
        results.add(said == answer, f"may it {verb} {resource}? {answer}", said)
    installed("uninstall", "kube-ipvs")
    left = tools.output(*kubectl, "get", "daemonset,serviceaccount,clusterrole,clusterrolebinding", "-o", "name", "-l",
                        "app.kubernetes.io/name=kube-ipvs")
    results.add(not left, "helm uninstall leaves nothing", left)
    define_monitors(tools)
    for name in SETS[:2]:
        for more in (["--dry-run=server"], []):
            done = tools.run(tools.kubectl, "apply", *more, "-k", f"{OVERLAYS}/{name}")
            results.add(done.returncode == 0 and "Warning" not in done.stderr,
                        f"{version}: kubectl apply {' '.join(more)} -k overlays/{name}", done.stderr)
    everything = tools.chart("everything")
    for more in (["--dry-run=server"], []):
        done = tools.run(tools.kubectl, "apply", *more, "-f", "-", input=everything)
        results.add(done.returncode == 0 and "Warning" not in done.stderr,
                    f"{version}: kubectl apply {' '.join(more)} of every value", done.stderr)
    lost = [line for name, wanted in objects(everything).items() if "Monitor" in name or "Rule " in name
            for line in missing(wanted["spec"], read(tools, name)["spec"])]
    results.add(not lost, f"{version}: the API server drops no field of the monitors", "\n".join(lost))


def define_monitors(tools):
    """The kinds of prometheus-operator, but not its schemas: the API server takes every field of them."""
    for kind in ("PodMonitor", "PrometheusRule"):
        names = {"kind": kind, "listKind": f"{kind}List", "singular": kind.lower(), "plural": f"{kind.lower()}s"}
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        name = f"{names['plural']}.monitoring.coreos.com"
        text = json.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                           "metadata": {"name": name}, "spec": {
                               "group": "monitoring.coreos.com", "names": names, "scope": "Namespaced", "versions": [
                                   {"name": "v1", "served": True, "storage": True,
                                    "schema": {"openAPIV3Schema": schema}}]}})
        done = tools.run(tools.kubectl, "apply", "-f", "-", input=text)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr}")
        tools.output(tools.kubectl, "wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")


def read(tools, name):
    """An object of kube-system: "PodMonitor kube-ipvs"."""
    return json.loads(tools.output(tools.kubectl, "-n", "kube-system", "get", *name.split(), "-o", "json"))


def patches(heading):
    """The commands of a section of the guide that change kube-proxy's DaemonSet."""
    with open(f"{ROOT}/examples/guides/kubeadm.md", encoding="utf-8") as file:
        section = re.split(r"^#+ ", file.read().split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    return re.findall(r"kubectl -n kube-system patch daemonset kube-proxy [^']*'[^']*'", section)


def check_way_back(tools, results, there, back):
    def choice():
        """Which nodes kube-proxy chooses."""
        spec = json.loads(tools.output(tools.kubectl, "-n", "kube-system", "get", "daemonset", "kube-proxy", "-o", "json"))
        spec = spec["spec"]["template"]["spec"]
        return spec.get("nodeSelector") or {}, (spec.get("affinity") or {}).get("nodeAffinity") or {}

    def run(heading):
        found = patches(heading)
        done = [tools.run("sh", "-c", each.replace("kubectl", tools.kubectl, 1)) for each in found]
        results.add(len(found) == 1 and not done[0].returncode, f"the guide's patch of kube-proxy, {heading}",
                    "\n".join([*found, *(each.stderr for each in done)]))

    before = choice()
    run(there)
    results.add(choice() != before, "... lets it choose other nodes", str(choice()))
    run(back)
    results.add(choice() == before, "... lets it choose those of before", str(choice()))


def missing(wanted, found, api_server="192.0.2.10", path="spec"):
    """What of `wanted` is not in `found`."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [line for key, value in wanted.items() for line in missing(value, found.get(key), api_server, f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for number, value in enumerate(wanted)
                for line in missing(value, found[number], api_server, f"{path}[{number}]")]
    if isinstance(wanted, str):
        wanted = wanted.replace("192.0.2.10", api_server)
    return [] if wanted == found else [f"{path}: {wanted} became {found}"]
