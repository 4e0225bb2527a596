# SPDX-License-Identifier: Apache-2.0
#
# The lab: a node, pods and a client outside, each a network namespace of its own.
#
#   outside  203.0.113.2 ---- 203.0.113.1, .3  node  10.244.1.1 ---- 10.244.1.x  pods
#            fd00:203::2 ---- fd00:203::1            fd00:244::1 --- fd00:244::x
#
# Pods are routed, as the CNI plugin "ptp" does it: a veth pair each, no bridge. Each answers its own name (server.py).
# The node forwards; the agent runs there. `outside` sends all to the node.
#
# What only some tests have:
#
#   node  172.20.0.1 ---- 172.20.0.2  worker  10.244.2.1 ---- 10.244.2.x       pods          (add_worker)
#         fd00:172::1 --- fd00:172::2         fd00:244:2::1 - fd00:244:2::x
#   node  cni0 10.244.3.1, fd00:244:3::1 ------ 10.244.3.x, fd00:244:3::x      bridged pods  (add_bridge)
#   outside  198.51.100.1, fd00:198::1 -------- 198.51.100.2, fd00:198::2      far           (add_far_client)
#
# `worker` has no agent and sends all it does not know to the node. objects.py has what a pod's number means.
#
# Needs root. Everything made here ends with Lab.down() or with this program.
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import kernel_state
from agent import Agent
from checks import load_module, wait_until
from explained import Explained, plain
from objects import address6_of, address_of
from place import Place
from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))


class Lab:
    def __init__(self, agent):
        self.directory = tempfile.mkdtemp(prefix="kube-ipvs-lab.")
        self.manifests = f"{self.directory}/manifests"
        os.mkdir(self.manifests)
        self.places, self.processes, self.connections = {}, {}, []
        self.agent = Agent(self, agent)
        self.explained = Explained(self)
        self._make_node_and_outside()

    def __getitem__(self, name):
        """The place of this name."""
        return self.places[name]

    def add_place(self, name):
        self.places[name] = Place(self, name)
        return self.places[name]

    def _make_node_and_outside(self):
        self.node, self.outside = self.add_place("node"), self.add_place("outside")
        # From inside, since the namespace we are in may have an eth0 of its own.
        self.node.ip(
            "link set lo up",
            f"link add eth0 type veth peer name eth0 netns {self.outside.namespace.path}",
            "address add 203.0.113.1/24 dev eth0",
            "address add 203.0.113.3/24 dev eth0",
            "address add fd00:203::1/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 203.0.113.2")
        self.outside.ip(
            "link set lo up",
            "address add 203.0.113.2/24 dev eth0",
            "address add fd00:203::2/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 203.0.113.1",
            "route add default via fd00:203::1")
        self.node.forward()

    def add_worker(self):
        """The second node, and the underlay between the two."""
        worker = self.add_place("worker")
        self.node.ip(
            f"link add underlay type veth peer name underlay netns {worker.namespace.path}",
            "address add 172.20.0.1/24 dev underlay",
            "address add fd00:172::1/64 dev underlay nodad",
            "link set underlay up",
            "route add 10.244.2.0/24 via 172.20.0.2",
            "route add fd00:244:2::/64 via fd00:172::2")
        worker.ip(
            "link set lo up",
            "address add 172.20.0.2/24 dev underlay",
            "address add fd00:172::2/64 dev underlay nodad",
            "link set underlay up",
            "route add default via 172.20.0.1",
            "route add default via fd00:172::1")
        worker.forward()

    def add_bridge(self):
        """As the CNI plugins "bridge" and flannel have it: the node's packet filter, and so IPVS, sees what it passes
        from pod to pod."""
        load_module("br_netfilter")
        self.node.ip(
            "link add cni0 type bridge",
            "address add 10.244.3.1/24 dev cni0",
            "address add fd00:244:3::1/64 dev cni0 nodad",
            "link set cni0 up")
        self.node.sysctl("bridge/bridge-nf-call-iptables", 1)
        self.node.sysctl("bridge/bridge-nf-call-ip6tables", 1)

    def add_far_client(self):
        """A client two hops away: `outside` is its router."""
        far = self.add_place("far")
        self.outside.ip(
            f"link add far type veth peer name eth0 netns {far.namespace.path}",
            "address add 198.51.100.1/24 dev far",
            "address add fd00:198::1/64 dev far nodad",
            "link set far up")
        far.ip(
            "link set lo up",
            "address add 198.51.100.2/24 dev eth0",
            "address add fd00:198::2/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 198.51.100.1",
            "route add default via fd00:198::1")
        self.node.ip("route add fd00:198::/64 via fd00:203::2")
        self.outside.forward()

    # pods

    def add_pod(self, name, number, http_port=80):
        """It serves when this returns."""
        pod = self.add_place(name)
        pod.pod_addresses = {plain(address_of(number)), plain(address6_of(number))}
        pod.node, pod.link = self["worker"] if str(number).startswith("2.") else self.node, f"pod{number}"
        if str(number).startswith("3."):
            self._attach_bridged(pod, number)
        else:
            self._attach_routed(pod, number)
        self.serve(name, pod, http_port=http_port)
        return pod

    def add_pods(self, **numbers):
        """Named by keyword, with hyphens for the underscores."""
        for name, number in numbers.items():
            self.add_pod(name.replace("_", "-"), number)

    def _attach_routed(self, pod, number):
        v4, v6, link = address_of(number), address6_of(number), pod.link
        gateway, gateway6 = v4.rpartition(".")[0] + ".1", v6.rpartition("::")[0] + "::1"
        pod.node.ip(
            f"link add {link} type veth peer name eth0 netns {pod.namespace.path}",
            f"address add {gateway}/32 dev {link}",
            f"address add {gateway6}/128 dev {link} nodad",
            f"link set {link} up",
            f"route add {v4} dev {link}",
            f"route add {v6} dev {link}")
        pod.ip(
            "link set lo up",
            f"address add {v4}/32 dev eth0",
            f"address add {v6}/128 dev eth0 nodad",
            "link set eth0 up",
            f"route add {gateway} dev eth0",
            f"route add default via {gateway}",
            f"route add {gateway6} dev eth0",
            f"route add default via {gateway6}")

    def _attach_bridged(self, pod, number):
        """Pods of the bridge reach each other without the node's routing. Hairpin as flannel and kubelet's
        documentation have it: what a pod answers itself comes back by the port it came from."""
        pod.node.ip(
            f"link add {pod.link} type veth peer name eth0 netns {pod.namespace.path}",
            f"link set {pod.link} master cni0 up",
            f"link set {pod.link} type bridge_slave hairpin on")
        pod.ip(
            "link set lo up",
            f"address add {address_of(number)}/24 dev eth0",
            f"address add {address6_of(number)}/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 10.244.3.1",
            "route add default via fd00:244:3::1")

    def remove_pod(self, name):
        """Its server ends as a well-behaved one does, then the pod is deleted."""
        self.stop(name)
        pod = self.places.pop(name)
        pod.node.ip(f"link delete {pod.link}")
        pod.namespace.close()

    # processes

    def serve(self, name, place, http_port=80):
        """A pod's server, until stop(name). It serves when this returns."""
        with place.namespace:
            server = Server(name, http_port)
            self.fork(name, server)
        server.close()

    def fork(self, name, work):
        """work.run() in a process of its own, in the namespace that this thread is in, until stop(name).

        A copy of this program, because to start Python takes a second in the test kernel. Its output is log-NAME."""
        sys.stdout.flush()
        pid = os.fork()
        if pid != 0:
            self.processes[name] = pid
            return
        code = 1
        try:
            output = os.open(f"{self.directory}/log-{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            keep_only(getattr(work, "listeners", ()))
            work.run()
            code = 0
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(code)

    def start(self, name, place, output, *command):
        """In the background, until stop(name)."""
        with place.namespace, open(output, "wb") as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        process.returncode = 0  # stop() waits for it
        self.processes[name] = process.pid

    def runs(self, name):
        return name in self.processes

    def stop(self, name, signal_number=signal.SIGTERM):
        """Ends it and waits for that; nothing if it does not run."""
        pid = self.processes.get(name)
        if pid is None:
            return
        os.kill(pid, signal_number)
        wait_until(f"{name} ends", 30, lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
        del self.processes[name]

    def stop_when_done(self, name, seconds=60):
        """Waits until it has ended by itself."""
        pid = self.processes[name]
        wait_until(f"{name} ends", seconds, lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
        del self.processes[name]

    def kill(self, name):
        self.stop(name, signal.SIGKILL)

    def stop_load(self, name):
        """What load.py says, as data."""
        self.stop(f"load-{name}")
        with open(f"{self.directory}/log-load-{name}") as file:
            return json.load(file)

    def close_connections(self):
        while self.connections:
            self.connections.pop().close()

    def down(self):
        """Ends everything of the lab, whatever state it is in."""
        self.close_connections()
        for pid in self.processes.values():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        shutil.rmtree(self.directory, ignore_errors=True)

    # manifests

    def write(self, file, *objects):
        """A file of the manifests."""
        self.write_text(file, self.documents(*objects))

    @staticmethod
    def documents(*objects):
        """Their text: JSON is YAML, too."""
        return "".join(f"---\n{json.dumps(each)}\n" for each in objects)

    def write_text(self, file, text):
        """Put into place at once."""
        path = f"{self.directory}/new-manifest"
        with open(path, "wb") as new:
            new.write(text if isinstance(text, bytes) else text.encode())
        os.rename(path, f"{self.manifests}/{file}")

    def write_common_services(self):
        """services.yaml, which is YAML as people write it."""
        shutil.copy(f"{HERE}/services.yaml", f"{self.manifests}/services.yaml")

    def remove(self, file):
        os.remove(f"{self.manifests}/{file}")

    # what the node's kernel holds

    def virtual_servers(self):
        with self.node.namespace:
            return kernel_state.virtual_servers()

    def has_server(self, server):
        """`server`: "TCP 10.96.0.1:80"."""
        return server in self.virtual_servers()

    def weights(self, server):
        """Of all its destinations, those of weight 0 included: {"10.244.1.11:80": 1}."""
        return self.virtual_servers().get(server, {})

    def destinations(self, server):
        """Those that take new connections."""
        return {destination for destination, weight in self.weights(server).items() if weight != 0}

    def leads_to(self, server, *destinations):
        """The server is there; these take new connections, and no others."""
        return self.has_server(server) and self.destinations(server) == set(destinations)

    def is_no_destination(self, address):
        """Of any virtual server, not even of one that is no more used."""
        return not any(destination.startswith(f"{address}:")
                       for destinations in self.virtual_servers().values() for destination in destinations)

    def node_port_addresses(self, port):
        """Those of TCP virtual servers with this port, in the order of their text: IPv4 comes first."""
        suffix = f":{port}"
        return sorted(server.removeprefix("TCP ").removesuffix(suffix) for server in self.virtual_servers()
                      if server.startswith("TCP ") and server.endswith(suffix))

    def has_address(self, address, interface="kube-ipvs0"):
        with self.node.namespace:
            return address in kernel_state.addresses_of(interface)

    def served(self, address, port, *destinations, protocol="TCP"):
        """Waits until the kernel has all of it. The address comes last."""
        wait_until(f"{address}:{port} leads to {destinations}", 30,
                   lambda: self.leads_to(f"{protocol} {address}:{port}", *destinations))
        wait_until(f"{address} is an address of this node", 10, lambda: self.has_address(address.strip("[]")))
        # The agent deletes UDP flows that are older than the endpoints, and does so last. Those that begin meanwhile
        # it deletes, too, and an answer may be lost.
        if protocol == "UDP":
            self.agent.finish_pass()

    def not_served(self, address, port=80, seconds=20):
        """Waits until its address is deleted, and then, at once, its virtual server."""
        wait_until(f"{address} is no address of this node", seconds, lambda: not self.has_address(address))
        wait_until(f"{address}:{port} is deleted", 1, lambda: not self.has_server(f"TCP {address}:{port}"))

    def has_device(self):
        """There is a kube-ipvs0."""
        return self.node.succeeds("ip", "link", "show", "kube-ipvs0")

    def ipvs_table(self):
        return self.node.run("ipvsadm", "-Ln")

    def addresses(self):
        return self.node.run("ip", "address", "show", "kube-ipvs0")

    def set_has(self, name, text):
        """A set of our nftables table."""
        return text in self.node.run("nft", "list", "set", "inet", "kube-ipvs", name)

    def ask_each(self, name, source_port, ways):
        """Each way is (client, address, port). By UDP, always from the same port of the client: `name` answers."""
        for client, address, port in ways:
            answer = self[client].ask(address, port, source_port)
            assert answer == name, f"{client} to {address}:{port}: {answer}, not {name}"

    def udp_flows(self, port, endpoint):
        """How many entries conntrack has of flows that came to this port and lead to this address, both regular
        expressions."""
        text = self.node.run("conntrack", "-L", "-p", "udp")
        return sum(1 for line in text.splitlines() if re.search(rf"dport={port} .*src={endpoint} ", line))


def keep_only(sockets):
    """Closes every other descriptor above those of the standard streams: a fork has all that its parent has open."""
    kept = sorted(each.fileno() for each in sockets)
    begin = 3
    for descriptor in kept:
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, 4096)
