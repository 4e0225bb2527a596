# SPDX-License-Identifier: Apache-2.0
#
# Against a real API server, with kube-proxy's role and no other: the agent under the name kube-proxy, started with what
# distributions start kube-proxy with (test/distributions), and --endpoint-source=auto when rights change.
import json
import os
import re
import shutil
import subprocess

import apiserver
from apiserver import CLUSTER, kubectl, order
from checks import wait_until
from objects import HTTP, pod, service

HERE = os.path.dirname(os.path.abspath(__file__))
DISTRIBUTIONS = f"{HERE}/../../distributions"
SERVER = "https://10.0.2.2:"
SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"
KUBE_PROXY = "/usr/local/bin/kube-proxy"
VIP = "10.96.5.1"
BOTH = ("10.244.1.11:80", "10.244.1.12:80")


def group_up(lab):
    apiserver.connect(lab)
    lab.add_pods(pod_1=11, pod_2=12)
    apiserver.create(lab, service("cluster", VIP, {"set": "v1"}), pod("pod-1", 11), pod("pod-2", 12))
    for name, number in (("pod-1", 11), ("pod-2", 12)):
        apiserver.run_pod(lab, name, number)
    apiserver.create_slice(lab, "cluster", [HTTP], {"pod-1": 11, "pod-2": 12})
    kubectl(lab, "delete", "clusterrole", "system:node-proxier")
    kubectl(lab, "create", "-f", f"{DISTRIBUTIONS}/node-proxier.yaml")
    write_credentials(lab)
    os.makedirs(os.path.dirname(KUBE_PROXY), exist_ok=True)
    if not os.path.lexists(KUBE_PROXY):
        os.symlink(os.path.abspath(lab.agent.program), KUBE_PROXY)


def write_credentials(lab):
    """The token of the service account, as the kubelet mounts it, and a client certificate, as k3s and rke2 make it."""
    path = "/api/v1/namespaces/kube-system/serviceaccounts/kube-proxy/token"
    token = kubectl(lab, "create", "--raw", path, "-f", "-",
                    input='{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}')
    os.makedirs(SECRETS, exist_ok=True)
    write(f"{SECRETS}/token", json.loads(token)["status"]["token"])
    shutil.copy(f"{CLUSTER}/ca.crt", f"{SECRETS}/ca.crt")
    agents = [f"/var/lib/rancher/{name}/agent" for name in ("k3s", "rke2")]
    for directory in agents:
        os.makedirs(directory, exist_ok=True)
        shutil.copy(f"{CLUSTER}/ca.crt", f"{directory}/server-ca.crt")
    certificate = f"{agents[0]}/client-kube-proxy"
    subprocess.run(["openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-CA", f"{CLUSTER}/ca.crt", "-CAkey", f"{CLUSTER}/ca.key", "-keyout", f"{certificate}.key",
                    "-out", f"{certificate}.crt", "-days", "30", "-subj", "/CN=system:kube-proxy",
                    "-addext", "basicConstraints=critical,CA:false", "-addext", "extendedKeyUsage=clientAuth"],
                   check=True, capture_output=True)
    for end in ("key", "crt"):
        shutil.copy(f"{certificate}.{end}", f"{agents[1]}/client-kube-proxy.{end}")


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def server():
    return SERVER + re.search("^PORT=(.*)$", read(f"{CLUSTER}/env"), re.MULTILINE)[1]


def place_files(distribution):
    root = f"{DISTRIBUTIONS}/{distribution}/root"
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            write(path.removeprefix(root), read(path).replace("__SERVER__", server()))


def start(lab, *command):
    """As a kubelet would: nothing else than the command."""
    lab.agent.stop()
    command = [f"/usr/local/bin/{word}" if word == "kube-proxy" else word for word in command]
    lab.start("agent", lab.node, lab.agent.log, *command)


def is_served_as_by(lab, distribution):
    place_files(distribution)
    command = read(f"{DISTRIBUTIONS}/{distribution}/command").replace("$(NODE_NAME)", "node").split()
    if lab.agent.program:
        lab.agent.stop()
        lab.agent.cleanup()
    start(lab, *command)
    lab.agent.ready()
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    assert lab["pod-1"].tally(f"http://{VIP}", 6) == {"pod-1": 3, "pod-2": 3}
    # A role that lacks nothing: what is refused was not needed.
    assert not lab.agent.logged(r"(Service|EndpointSlice|Node) list: 403")
    assert not lab.agent.logged("kube-proxy runs beside")
    print(f"shown: {' '.join(command)}")
    for line in lab.agent.log_text().splitlines():
        print(f"shown:   {line}")


def case_kubeadm_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "kubeadm")


def case_kubespray_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "kubespray")


def case_kubekey_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "kubekey")


def case_sealos_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "sealos")


def case_typhoon_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "typhoon")


def case_k3s_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "k3s")


def case_rke2_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "rke2")


def case_eks_starts_it_in_place_of_kube_proxy(lab):
    is_served_as_by(lab, "eks")


def case_events_are_written_with_the_role_of_kube_proxy(lab):
    apiserver.create(lab, service("greedy", "10.96.5.9", {"set": "v1"}, annotations={"kube-ipvs.io/scheduler": "x"}))
    wait_until("the Event is there", 30,
               lambda: "kube-ipvs.io/scheduler" in kubectl(lab, "get", "events", "-o", "json"))
    # Before 1.21, Events about a Node are in kube-system.
    events = json.loads(kubectl(lab, "get", "events", "-A", "-o", "json"))["items"]
    starts = [event for event in events if event.get("reason") == "Starting"]
    assert starts and {event["reportingComponent"] for event in starts} == {"kube-proxy"}, starts
    assert {event["action"] for event in starts} == {"StartKubeProxy"}, starts
    kubectl(lab, "delete", "service", "greedy")


# --- --endpoint-source=auto ------------------------------------------------------------------------------------------


def source_in_force(lab):
    return [source for source in ("selector", "endpointslice")
            if lab.agent.metric("kube_ipvs_endpoint_source", source=source) == 1]


def case_where_pods_are_forbidden_auto_takes_endpointslices_and_says_so_once(lab):
    place_files("kubeadm")
    start(lab, lab.agent.program, "--kubeconfig", "/var/lib/kube-proxy/kubeconfig.conf", "--hostname-override", "node")
    lab.agent.ready()
    assert source_in_force(lab) == ["endpointslice"]
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    assert lab.agent.times_logged("Pods may not be listed") == 1
    assert lab.agent.times_logged("403") == 1


def case_rights_that_are_given_later_are_used_without_a_restart(lab):
    operations = lab.agent.metric("kube_ipvs_kernel_operations_total")
    kubectl(lab, "create", "clusterrole", "pods", "--verb=list,watch", "--resource=pods")
    kubectl(lab, "create", "clusterrolebinding", "pods", "--clusterrole=pods",
            "--serviceaccount=kube-system:kube-proxy")
    wait_until("Pods are the source", 90, lambda: source_in_force(lab) == ["selector"])
    lab.agent.finish_pass()
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    assert lab.agent.metric("kube_ipvs_kernel_operations_total") == operations


def case_rights_that_are_taken_away_leave_the_table_as_it_is(lab):
    operations = lab.agent.metric("kube_ipvs_kernel_operations_total")
    lab["pod-1"].start_load("rights", "requests", VIP, 80, workers=2)
    kubectl(lab, "delete", "clusterrolebinding", "pods")
    # An open watch does not notice; the next one does.
    before = read(f"{CLUSTER}/env")
    order("restart")
    wait_until("the API server is up again", 120, lambda: os.path.exists(f"{CLUSTER}/env")
               and read(f"{CLUSTER}/env") != before)
    wait_until("EndpointSlices are the source", 120, lambda: source_in_force(lab) == ["endpointslice"])
    lab.agent.finish_pass()
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    assert lab.agent.metric("kube_ipvs_kernel_operations_total") == operations
    apiserver.load_is_unharmed(lab, "rights")


def case_a_label_of_a_pod_is_its_weight_with_endpointslices_where_pods_may_be_listed(lab):
    kubectl(lab, "create", "clusterrolebinding", "pods", "--clusterrole=pods",
            "--serviceaccount=kube-system:kube-proxy")
    kubectl(lab, "label", "pod", "pod-1", "kube-ipvs.io/weight=7")
    start(lab, lab.agent.program, "--kubeconfig", "/var/lib/kube-proxy/kubeconfig.conf", "--hostname-override", "node",
          "--endpoint-source", "endpointslice", "--ipvs-scheduler", "wrr")
    lab.agent.ready()
    assert lab.weights(f"TCP {VIP}:80") == {BOTH[0]: 7, BOTH[1]: 1}
    kubectl(lab, "label", "pod", "pod-1", "kube-ipvs.io/weight-")
    wait_until("its weight is the default", 20,
               lambda: lab.weights(f"TCP {VIP}:80") == {BOTH[0]: 1, BOTH[1]: 1})
