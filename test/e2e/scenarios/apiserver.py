# SPDX-License-Identifier: Apache-2.0
#
# Against a real API server, which test/e2e/run has started outside the test kernel: objects made with kubectl.
import json
import os
import re
import subprocess
import time

from checks import screen, wait_until
from namespace import HOME
from objects import node, pod, service

VIP = "10.96.5.1"
V1 = {"set": "v1"}
BOTH = ("10.244.1.11:80", "10.244.1.12:80")
TREE = os.path.realpath(f"{os.path.dirname(os.path.abspath(__file__))}/../../..")
CLUSTER = os.environ.get("KUBE_IPVS_CLUSTER")


def connect(lab):
    """The network to the API server belongs to the node: the agent runs there."""
    with HOME:
        # Another group may have had it, under the other name.
        device = "eth0" if os.path.exists("/sys/class/net/eth0") else "uplink"
        subprocess.run(["ip", "link", "set", device, "netns", lab.node.namespace.path, "name", "uplink"], check=True)
    lab.node.ip("address add 10.0.2.15/24 dev uplink", "link set uplink up")
    wait_until("the API server is ready", 120, lambda: os.path.exists(f"{CLUSTER}/env"))


def group_up(lab):
    connect(lab)
    lab.add_pods(pod_1=11, pod_2=12)
    create(lab, service("cluster", VIP, V1), pod("pod-1", 11), pod("pod-2", 12))
    run_pod(lab, "pod-1", 11)
    run_pod(lab, "pod-2", 12)
    restart_agent(lab)


def kubectl(lab, *arguments, input=None):
    os.environ["KUBECONFIG"] = f"{CLUSTER}/kubeconfig.guest"
    return lab.node.run(f"{os.environ['KUBEBUILDER_ASSETS']}/kubectl", *arguments, input=input)


def create(lab, *objects):
    kubectl(lab, "create", "-f", "-", input=lab.documents(*objects))


def restart_agent(lab):
    lab.agent.restart(source=("--kubeconfig", f"{CLUSTER}/kubeconfig.guest"))


def run_pod(lab, name, number, ready=True):
    """Says what the kubelet would. (kubectl of 1.20 cannot write a status but so.)"""
    address, ready = f"10.244.1.{number}", str(ready)
    written = json.loads(kubectl(lab, "get", "pod", name, "-o", "json"))
    written["status"] = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                         "conditions": [{"type": "Ready", "status": ready},
                                        {"type": "ContainersReady", "status": ready}]}
    kubectl(lab, "replace", "--raw", f"/api/v1/namespaces/default/pods/{name}/status", "-f", "-",
            input=json.dumps(written))


def create_slice(lab, service_name, ports, pods):
    """What the controller of EndpointSlices would; `pods`: the name and number of each on this node."""
    versions = kubectl(lab, "api-versions").split()
    version = "v1" if "discovery.k8s.io/v1" in versions else "v1beta1"
    place = {"nodeName": "node"} if version == "v1" else {"topology": {"kubernetes.io/hostname": "node"}}
    kubectl(lab, "create", "-f", "-", input=json.dumps({
        "apiVersion": f"discovery.k8s.io/{version}", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": f"{service_name}-1", "namespace": "default",
                     "labels": {"kubernetes.io/service-name": service_name,
                                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
        "endpoints": [{"addresses": [f"10.244.1.{number}"], "conditions": {"ready": True}, **place,
                       "targetRef": {"kind": "Pod", "name": name, "namespace": "default"}}
                      for name, number in pods.items()],
        "ports": [{"name": port["name"], "protocol": port.get("protocol", "TCP"), "port": port["port"]}
                  for port in ports]}))


def the_tutorial(lab):
    """Its objects, as a user gives them to the API server; its Pods exist only there."""
    kubectl(lab, "create", "-f", f"{TREE}/examples/tutorial")
    for number in (1, 2, 3):
        run_pod(lab, f"my-nginx-{number}", 20 + number)
    wait_until("the tutorial's Pods are served", 30,
               lambda: lab.agent.ask("get", "endpoints", "default/my-nginx")[1].count("serving") == 3)


def load_is_unharmed(lab, name):
    load = lab.stop_load(name)
    assert load["failed"] == 0 and load["total"] > 10, load


def case_services_and_pods_of_a_real_api_server_are_served(lab):
    wait_until("the endpoints are there", 30, lambda: lab.leads_to(f"TCP {VIP}:80", *BOTH))
    assert lab["pod-1"].tally(f"http://{VIP}", 6) == {"pod-1": 3, "pod-2": 3}


def case_a_pod_that_becomes_unready_is_removed_and_one_that_becomes_ready_is_added(lab):
    run_pod(lab, "pod-2", 12, ready=False)
    wait_until("it leaves", 20, lambda: lab.leads_to(f"TCP {VIP}:80", BOTH[0]))
    run_pod(lab, "pod-2", 12)
    wait_until("it comes", 20, lambda: lab.leads_to(f"TCP {VIP}:80", *BOTH))


def case_a_service_created_with_kubectl_is_served_and_a_deleted_one_is_not(lab):
    create(lab, service("passing", "10.96.5.2", V1, type="NodePort", node_port=30091))
    wait_until("it is served", 20, lambda: lab.leads_to("TCP 10.96.5.2:80", *BOTH))
    assert lab.outside.get("http://203.0.113.1:30091").startswith("pod-")
    kubectl(lab, "delete", "service", "passing")
    wait_until("it is not served any more", 20, lambda: not lab.has_server("TCP 10.96.5.2:80"))


def case_other_nodes_are_watched_when_a_service_has_an_external_ip_and_theirs_is_not_bound(lab):
    create(lab, node("worker", "172.20.0.2"))
    before = lab.agent.metric("kube_ipvs_source_lists_total", kind="Node")
    create(lab, service("greedy", "10.96.5.4", V1, externalIPs=["172.20.0.2", "192.0.2.170"]))
    lab.served("192.0.2.170", 80, *BOTH)
    assert lab.agent.logged("172.20.0.2 is the address of Node worker: not served")
    assert not lab.has_address("172.20.0.2")
    assert lab.agent.metric("kube_ipvs_source_lists_total", kind="Node") > before
    # Its watch is one of a real server as well.
    create(lab, node("late", "192.0.2.170"))
    lab.not_served("192.0.2.170")
    kubectl(lab, "delete", "service", "greedy")
    kubectl(lab, "delete", "node", "worker", "late")


def case_a_pod_deleted_under_load_fails_no_request(lab):
    lab["pod-1"].start_load("deletion", "requests", VIP, 80, workers=2)
    # As with a kubelet: it ends within its grace period, and when it has ended the object is deleted. A connection that
    # is open even then is cut.
    kubectl(lab, "delete", "pod", "pod-2", "--grace-period", "30", "--wait=false")
    wait_until("it gets no new connections", 20, lambda: lab.leads_to(f"TCP {VIP}:80", BOTH[0]))
    time.sleep(2)  # its last requests are answered
    kubectl(lab, "delete", "pod", "pod-2", "--grace-period", "0", "--force")
    wait_until("it leaves", 20, lambda: lab.is_no_destination("10.244.1.12"))
    create(lab, pod("pod-2", 12))
    run_pod(lab, "pod-2", 12)
    wait_until("it comes again", 20, lambda: lab.leads_to(f"TCP {VIP}:80", *BOTH))
    load_is_unharmed(lab, "deletion")


def cluster_has_restarted_once():
    with open(f"{CLUSTER}/env", encoding="utf-8") as file:
        return "RESTARTS=1" in file.read()


def order(what):
    open(f"{CLUSTER}/{what}", "w", encoding="ascii").close()


def case_the_api_server_crashes_the_table_stays_and_the_agent_catches_up(lab):
    the_tutorial(lab)
    lab["pod-1"].start_load("crash", "requests", VIP, 80, workers=2)
    order("crash")
    wait_until("it is down", 30, lambda: not os.path.exists(f"{CLUSTER}/env"))
    wait_until("the agent has lost it", 30, lambda: lab.agent.logged("refused|closed|reset|end of stream"))
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
    # After a minute of silence it is worth a look. The node serves, and so it is not failing.
    wait_until("status says so", 120, lambda: "the API server has not answered about" in lab.agent.ask("status")[1])
    code, text = screen(lab, "status")
    assert code == 1 and text.startswith("attention"), text
    _, text = screen(lab, "get", "endpoints", "default/my-nginx")
    assert text.count("serving") == 3, text
    order("restart")
    wait_until("it is up again", 120, cluster_has_restarted_once)
    create(lab, service("later", "10.96.5.3", V1))
    wait_until("what is new is served", 60, lambda: lab.leads_to("TCP 10.96.5.3:80", *BOTH))
    load_is_unharmed(lab, "crash")


def case_an_api_that_the_server_does_not_serve_is_reported_once(lab):
    if "discovery.k8s.io/v1" in kubectl(lab, "api-versions").split():
        return
    assert lab.agent.times_logged("discovery.k8s.io/v1") == 1


def case_kill_9_and_restart_on_a_real_api_server_change_nothing(lab):
    lab.agent.kill()
    restart_agent(lab)
    assert lab.agent.logged("Table complete.* operations=0 ")


def case_a_wrong_token_is_reported_and_the_table_stays(lab):
    lab.agent.stop()
    with open(f"{CLUSTER}/kubeconfig.guest", encoding="utf-8") as file:
        text = re.sub("token: .*", "token: wrong", file.read())
    path = f"{lab.directory}/kubeconfig"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    lab.agent.start(source=("--kubeconfig", path))
    wait_until("it is reported", 30, lambda: lab.agent.logged("401|Unauthorized"))
    assert lab.leads_to(f"TCP {VIP}:80", *BOTH)
