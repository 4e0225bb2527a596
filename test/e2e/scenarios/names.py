# SPDX-License-Identifier: Apache-2.0
#
# Names of Services: pods, the node and others ask the agent.
from agent import CLUSTER_CIDR, CLUSTER_IPS
from checks import wait_until
from dns_client import ask
from objects import HTTP, dual_stack, pod, service

V1 = {"set": "v1"}
SERVERS = ("10.244.1.1", "fd00:244::1", "203.0.113.1", "fd00:203::1")
# Nobody answers there.
FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR, "--dns-bind-address", "0.0.0.0,[::]", "--dns-upstream", "203.0.113.99")
DOMAIN = "default.svc.cluster.local"


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12)
    pet = pod("pod-1", 11)
    pet["spec"].update(hostname="pet", subdomain="pets")
    lab.write("pods.yaml", pet, pod("pod-2", 12))
    pets = service("pets", "None", V1)
    alias = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"},
             "spec": {"type": "ExternalName", "externalName": f"web.{DOMAIN}"}}
    lab.write("names.yaml", service("web", "10.96.5.1", V1, port=HTTP, **dual_stack("10.96.5.1", "fd00:10:96::51")),
              pets, alias)
    lab.agent.restart(*FLAGS)


def case_a_pod_gets_the_cluster_ips_by_udp_and_tcp_at_each_address_of_the_node(lab):
    for server in SERVERS:
        for tcp in (False, True):
            assert ask(lab["pod-1"], server, f"web.{DOMAIN}", tcp=tcp) == ("NOERROR", ["10.96.5.1"])
            assert ask(lab["pod-1"], server, f"web.{DOMAIN}", "AAAA", tcp) == ("NOERROR", ["fd00:10:96::51"])
    assert ask(lab["pod-1"], SERVERS[0], "1.5.96.10.in-addr.arpa", "PTR") == ("NOERROR", [f"web.{DOMAIN}"])
    assert ask(lab["pod-1"], SERVERS[0], f"alias.{DOMAIN}") == ("NOERROR", ["10.96.5.1", f"web.{DOMAIN}"])
    assert ask(lab["pod-1"], SERVERS[0], f"no.{DOMAIN}") == ("NXDOMAIN", [])


def case_a_headless_service_has_its_ready_pods_and_their_hostnames_and_follows_them(lab):
    def pets():
        return ask(lab["pod-2"], SERVERS[0], f"pets.{DOMAIN}")

    assert pets() == ("NOERROR", ["10.244.1.11", "10.244.1.12"])
    assert ask(lab["pod-2"], SERVERS[0], f"pet.pets.{DOMAIN}") == ("NOERROR", ["10.244.1.11"])
    assert ask(lab["pod-2"], SERVERS[0], f"_http._tcp.pets.{DOMAIN}", "SRV") == (
        "NOERROR", [f"80 10-244-1-12.pets.{DOMAIN}", f"80 fd00-244--12.pets.{DOMAIN}", f"80 pet.pets.{DOMAIN}"])
    lab.write("pods.yaml", pod("pod-1", 11, ready=False), pod("pod-2", 12))
    wait_until("the pod that is not ready is left out", 20, lambda: pets() == ("NOERROR", ["10.244.1.12"]))
    lab.write("pods.yaml", pod("pod-1", 11, ready=False), pod("pod-2", 12, ready=False))
    wait_until("no pod is ready", 20, lambda: pets() == ("NXDOMAIN", []))
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    wait_until("both are ready", 20, lambda: len(pets()[1]) == 2)


def case_other_names_are_asked_for_by_clients_of_the_cluster_only(lab):
    assert ask(lab.outside, "203.0.113.1", f"web.{DOMAIN}") == ("NOERROR", ["10.96.5.1"])
    assert ask(lab.outside, "203.0.113.1", "www.example.org") == ("REFUSED", [])
    assert ask(lab.outside, "fd00:203::1", "www.example.org") == ("REFUSED", [])
    # Their resolver does not answer.
    assert ask(lab["pod-1"], SERVERS[0], "www.example.org") == ("SERVFAIL", [])
    assert ask(lab.node, "127.0.0.1", "www.example.org") == ("SERVFAIL", [])


def case_names_are_known_again_after_a_kill(lab):
    lab.agent.kill()
    lab.agent.start(*FLAGS)
    wait_until("the name is answered", 30, lambda: known(lab))


def known(lab):
    try:
        return ask(lab.node, "127.0.0.1", f"web.{DOMAIN}") == ("NOERROR", ["10.96.5.1"])
    except ConnectionRefusedError:
        return False
