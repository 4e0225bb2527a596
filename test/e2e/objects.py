# SPDX-License-Identifier: Apache-2.0
#
# Kubernetes objects, as data. Lab.write writes them as manifests.
#
# A pod's NUMBER says where it is: 11 is 10.244.1.11 on the node, "2.21" is 10.244.2.21 on the other node, "3.31" is
# 10.244.3.31 behind the bridge.
import time


def address_of(number):
    return f"10.244.{number}" if "." in str(number) else f"10.244.1.{number}"


def address6_of(number):
    return "fd00:244:" + str(number).replace(".", "::") if "." in str(number) else f"fd00:244::{number}"


def time_in(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def metadata(name, labels=None, annotations=None, created=None):
    result = {"name": name}
    if labels:
        result["labels"] = labels
    if annotations:
        result["annotations"] = annotations
    if created:
        result["creationTimestamp"] = created
    return result


def pod(name, number, labels=None, *, port=80, ready=None, since=None, annotations=None, deleted_in=None, grace=None,
        container="main"):
    """The Pod that Lab.add_pod(name, number) runs.

    labels      besides pod: NAME; {"set": "v1"} unless others are given
    ready       what its condition Ready says, `since` so many seconds from now; None: it has no condition
    deleted_in  it is being deleted, and its grace period of `grace` seconds ends in so many seconds
    """
    v4, v6 = address_of(number), address6_of(number)
    result = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, {"pod": name, **(labels or {"set": "v1"})}, annotations),
        "spec": {
            "nodeName": "worker" if v4.startswith("10.244.2.") else "node",
            "containers": [{"name": container, "image": "none", "ports": [{"name": "http", "containerPort": port}]}],
        },
        "status": {"podIP": v4, "podIPs": [{"ip": v4}, {"ip": v6}]},
    }
    if ready is not None:
        condition = {"type": "Ready", "status": str(ready)}
        if since is not None:
            condition["lastTransitionTime"] = time_in(since)
        result["status"].update(phase="Running", conditions=[condition])
    if deleted_in is not None:
        result["metadata"].update(deletionTimestamp=time_in(deleted_in))
    if grace is not None:
        result["metadata"].update(deletionGracePeriodSeconds=grace)
    return result


def node(name, address, network=None, zone=None):
    """`network`: of its Pods, "10.244.1.0/24"."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name, {"topology.kubernetes.io/zone": zone} if zone else None),
        "spec": {"podCIDR": network, "podCIDRs": [network]} if network else {},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


HTTP = {"name": "http", "port": 80, "targetPort": "http"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}
ECHO = {"name": "echo", "port": 7}


def service(name, cluster_ip, selector, *, port=HTTP, ports=None, node_port=None, ingress=None, labels=None,
            annotations=None, created=None, **spec):
    """A Service of one port, or of the ports given.

    port       HTTP (80 to the port named http), DNS (UDP 53 to 53) or ECHO (TCP 7 to 7)
    node_port  of that one port
    ingress    addresses, or whole items, of status.loadBalancer.ingress
    spec       other fields of the spec, by the API's names
    """
    if ports is None:
        ports = [{**port, "nodePort": node_port} if node_port else port]
    result = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, labels, annotations, created),
        "spec": {"clusterIP": cluster_ip, "selector": selector, "ports": ports, **spec},
    }
    if ingress:
        items = [{"ip": item} if isinstance(item, str) else item for item in ingress]
        result["status"] = {"loadBalancer": {"ingress": items}}
    return result


def load_balancer(name, cluster_ip, selector, ingress, **more):
    """As service(), with what a load balancer's controller adds."""
    return service(name, cluster_ip, selector, ingress=ingress, type="LoadBalancer", **more)


def external_name(name):
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(name),
            "spec": {"type": "ExternalName", "externalName": "www.example.org"}}


def dual_stack(cluster_ip, cluster_ip6):
    """Fields of a Service's spec."""
    return {"clusterIPs": [cluster_ip, cluster_ip6], "ipFamilyPolicy": "RequireDualStack"}


def affinity(seconds):
    """Fields of a Service's spec."""
    return {"sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}}
