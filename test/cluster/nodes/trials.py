# SPDX-License-Identifier: Apache-2.0
"""What is tried on the cluster with kube-ipvs as its proxy. Each trial ends the run where something is wrong."""

import contextlib
import json
import subprocess
import time

import images
import proxies
import workloads
from layout import NODES, TREE, wait_until
from machines import Machine, clocks, give_images, ready_nodes


def _expect(true, what):
    if not true:
        raise SystemExit(f"cluster: {what}")
    print(f"ok: {what}", flush=True)


def _say(what):
    print(time.strftime("%T"), what, flush=True)


def tutorial(layout):
    """The tutorial of examples/tutorial: four types of Service over three nginx Pods, one of which is replaced."""
    labels = {"app": "my-nginx", "version": "v1"}
    deployment = workloads.deployment("my-nginx", images.NGINX, 3, labels, [80])
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 80}]
    workloads.apply(layout, deployment)
    layout.kubectl("apply", "-f", str(TREE / "examples/tutorial/services.yaml"))
    # What a load balancer's controller does.
    layout.kubectl("-n", "default", "patch", "service", "my-nginx-loadbalancer", "--type=merge",
                   "-p", '{"spec": {"externalIPs": ["192.0.2.10"]}}')
    subprocess.run(["ip", "-n", layout.namespace, "route", "replace", "192.0.2.10/32", "via", NODES[0].address],
                   check=True)
    workloads.available(layout, "my-nginx")
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in workloads.pods(layout, "app=my-nginx")}
    _expect(len(addresses) == 3, f"three Pods run: {addresses}")

    def service(name):
        return json.loads(layout.kubectl("get", "service", name, "-o", "json"))["spec"]

    workloads.servers(layout, 3)
    cluster_ip = service("my-nginx")["clusterIP"]

    def from_pod(url, seconds=120):
        def answer():
            return layout.kubectl("exec", "client-2", "--", "python3", "-c",
                                  "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=9).read()"
                                  ".decode().strip())", url, check=False).strip()
        return wait_until(f"an answer from {url}", answer, seconds)

    names = {from_pod(f"http://{cluster_ip}/") for _ in range(6)}
    _expect(names == set(addresses), f"ClusterIP: a Pod reaches all three: {sorted(names)}")
    _expect(from_pod("http://my-nginx/") in addresses, "ClusterIP: by name")
    for node in NODES:
        names = {workloads.wait_for_name(layout, f"http://{node.address}:30080/") for _ in range(6)}
        _expect(names == set(addresses), f"NodePort: {node.name} from outside reaches all three")
    names = {workloads.wait_for_name(layout, "http://192.0.2.10/") for _ in range(6)}
    _expect(names == set(addresses), "LoadBalancer: its address from outside reaches all three")
    layout.kubectl("patch", "service", "my-nginx-external", "--type=merge",
                   "-p", '{"spec": {"externalName": "my-nginx.default.svc.cluster.local"}}')
    _expect(from_pod("http://my-nginx-external.default.svc.cluster.local/") in addresses, "ExternalName: by name")

    lost = sorted(addresses)[0]
    layout.kubectl("delete", "pod", lost, "--wait=true", "--timeout=120s")
    workloads.available(layout, "my-nginx")
    now = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in workloads.pods(layout, "app=my-nginx")}
    _expect(len(now) == 3 and lost not in now, f"a Pod is replaced: {now}")
    names = {from_pod(f"http://{cluster_ip}/") for _ in range(9)}
    _expect(names == set(now), f"the Service has not noticed: {sorted(names)}")


@contextlib.contextmanager
def _no_exchange_fails(layout, nodes=NODES):
    """Load on these nodes, from ten seconds before to ten seconds after. Yields a list of servers' names: open
    connections to a server in it may break."""
    address = workloads.servers(layout, 6)
    before = clocks(layout, nodes)
    loads = workloads.Loads(layout, address, nodes)
    ended = []
    time.sleep(10)
    yield ended
    time.sleep(10)
    failed, total = workloads.failures(loads.stop(), ended)
    for name, ahead in clocks(layout, nodes).items():
        if abs(ahead - before[name]) > 30:
            raise SystemExit(f"cluster: the clock of {name} jumped by {ahead - before[name]:.0f} s: the trial says "
                             "nothing. Call `down` and `up`, and run it again")
    _expect(failed == 0, f"{failed} of {total} exchanges failed")


def upgrade(layout):
    """A rolling upgrade of kube-ipvs by another image, and back, under load on all nodes: no exchange may fail."""
    proxies.image(layout, "next")
    give_images(layout)
    with _no_exchange_fails(layout):
        for tag in ("next", "dev"):
            began = time.monotonic()
            proxies.install(layout, "kube-ipvs", f"image.tag={tag}")
            _say(f"image {tag} runs on all nodes after {time.monotonic() - began:.0f} s")


def migration(layout):
    """From kube-proxy (mode ipvs) to kube-ipvs and back, by the steps of examples/guides/kubeadm.md, under load on all
    nodes: no exchange may fail."""
    def choose(selector):
        patch = {"spec": {"template": {"spec": {"nodeSelector": {"kube-proxy": selector}}}}}
        layout.kubectl("-n", "kube-system", "patch", "daemonset", "kube-proxy", "--type=merge", "-p", json.dumps(patch))

    proxies.replace(layout, "kube-proxy-ipvs")
    give_images(layout)
    with _no_exchange_fails(layout):
        _say("kube-proxy leaves")
        choose("is-replaced")
        proxies.install(layout, "kube-ipvs")
        _say("kube-ipvs runs on all nodes")
        time.sleep(20)
        _say("kube-ipvs leaves")
        layout.kubectl("-n", "kube-system", "delete", "daemonset", "kube-ipvs", "--wait=true", "--timeout=300s")
        choose(None)
        wait_until("kube-proxy runs on all nodes", lambda: proxies.all_run(layout, "kube-proxy-ipvs"), 600)
        _say("kube-proxy runs on all nodes")
        for node in NODES:
            wait_until("our table is gone", lambda machine=Machine(layout, node): _is_handed_over(machine), 300, 5)
    proxies.replace(layout, "kube-ipvs")


def _is_handed_over(machine):
    """Hands the node over. Not at once while kube-proxy, which has no probe that says so, has no rules yet."""
    code, output = machine.run("ctr -n k8s.io run --rm --privileged --net-host "
                               "--mount type=bind,src=/run/kube-ipvs,dst=/run/kube-ipvs,options=rbind:rw "
                               f"{proxies.REPOSITORY}:dev cleanup kube-ipvs cleanup --handover")
    _say(f"{machine.node.name}: cleanup --handover: {output.strip()}")
    if code:
        raise SystemExit(f"cluster: {machine.node.name}: cleanup --handover ended with {code}")
    return "left nftables table" not in output


def reboot(layout):
    """The node with the most servers is drained, loses its power and comes back, under load on the others: no exchange
    with them may fail but on connections that were open to the Pods of that node."""
    workloads.servers(layout, 6)
    node_of = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in workloads.pods(layout, "app=server")}
    lost = max(NODES, key=lambda node: list(node_of.values()).count(node.name))
    others = [node for node in NODES if node is not lost]
    with _no_exchange_fails(layout, others) as ended:
        ended += [name for name, node in node_of.items() if node == lost.name]
        print(f"on {lost.name}: {', '.join(ended)}", flush=True)
        layout.kubectl("drain", lost.name, "--ignore-daemonsets", "--force", "--timeout=300s", timeout=330)
        workloads.available(layout, "server")
        _power_cycle(layout, Machine(layout, lost))
        layout.kubectl("uncordon", lost.name)
        _serves_again(layout, lost)


def _power_cycle(layout, machine):
    began = time.monotonic()
    machine.cut_power()
    machine.start()
    wait_until("the node's kubelet is back", lambda: machine.node.name in ready_nodes(layout), 600)
    print(f"{machine.node.name} is ready {time.monotonic() - began:.0f} s after its power was cut", flush=True)


def _serves_again(layout, node):
    began = time.monotonic()
    name = workloads.wait_for_name(layout, f"http://{node.address}:{workloads.NODE_PORT}/", 300)
    print(f"{node.name} serves node ports {time.monotonic() - began:.0f} s later: {name}", flush=True)
    wait_until("kube-ipvs is ready on it", lambda: proxies.all_run(layout, "kube-ipvs"), 300)


NAMES = {"tutorial": tutorial, "upgrade": upgrade, "reboot": reboot, "migration": migration}


def run(layout, name):
    """Runs the trial `name`."""
    NAMES[name](layout)
