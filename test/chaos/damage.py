# SPDX-License-Identifier: Apache-2.0
#
# What others do to the kernel's state, and whether it has been repaired. Each damage returns what tells that it has.
import random
import subprocess

from agents import read

SETTINGS = ("vs/conntrack", "vs/expire_nodest_conn", "ip_forward")


class Damage:
    """`servers`: those that have traffic, as "TCP 10.96.1.1:80"; `addresses`: those that are to be there."""

    def __init__(self, lab, servers, addresses, seed):
        self.lab, self.servers, self.addresses, self.chance = lab, servers, addresses, random.Random(seed)
        self.parts = None

    def remember(self):
        """Which chains and sets an undamaged table has. Its rules follow what Services need."""
        self.parts = self._parts()

    def do(self, what):
        """Returns a condition: it is repaired."""
        return getattr(self, f"_damage_{what.replace(' ', '_')}")()

    def serves(self, alive):
        """All virtual servers that have traffic lead to pods of `alive`, and their addresses are there."""
        held = self.lab.virtual_servers()
        for server in self.servers:
            found = {each.rpartition(":")[0] for each, weight in held.get(server, {}).items() if weight != 0}
            if not found or not found <= alive:
                return False
        return self.addresses_are_there()

    def addresses_are_there(self):
        return all(self.lab.has_address(address) for address in self.addresses)

    def table_is_complete(self):
        return self._parts() == self.parts

    def settings_are_right(self):
        with self.lab.node.namespace:
            return all(read(f"/proc/sys/net/ipv4/{name}") == "1" for name in SETTINGS)

    def _parts(self):
        with self.lab.node.namespace:
            result = subprocess.run(["nft", "-t", "list", "table", "inet", "kube-ipvs"], text=True, capture_output=True)
        kinds = ("chain", "set", "map", "type")
        return sorted(line for line in result.stdout.splitlines() if line.split()[:1] and line.split()[0] in kinds)

    def _run(self, *command):
        self.lab.node.succeeds(*command)

    def _damage_virtual_servers(self):
        self._run("ipvsadm", "-C")
        return lambda: True

    def _damage_table(self):
        self._run("nft", "flush", "ruleset")
        return lambda: self.table_is_complete() and self._has_element()

    def _damage_rules(self):
        self._run("nft", "flush", "table", "inet", "kube-ipvs")
        return self.table_is_complete

    def _damage_device(self):
        self._run("ip", "link", "delete", "kube-ipvs0")
        return lambda: True

    def _damage_addresses(self):
        self._run("ip", "address", "flush", "dev", "kube-ipvs0")
        return lambda: True

    def _damage_a_server(self):
        protocol, address = self.chance.choice(self.servers).split()
        self._run("ipvsadm", "-D", "-t" if protocol == "TCP" else "-u", address)
        return lambda: True

    def _element(self):
        return self.addresses[0] + " . tcp . 80"

    def _has_element(self):
        return self.lab.set_has("cluster-ips-4", self._element())

    def _damage_an_element(self):
        self._run("nft", "delete", "element", "inet", "kube-ipvs", "cluster-ips-4", f"{{ {self._element()} }}")
        return self._has_element

    def _damage_a_weight(self):
        server = self.chance.choice(self.servers)
        protocol, address = server.split()
        found = sorted(each for each, weight in self.lab.weights(server).items() if weight != 0)
        if not found:
            return lambda: True
        endpoint = self.chance.choice(found)
        self._run("ipvsadm", "-e", "-t" if protocol == "TCP" else "-u", address, "-r", endpoint, "-m", "-w", "0")
        return lambda: True  # the other endpoints serve, or `serves` says that none does

    def _damage_sysctls(self):
        for name in SETTINGS:
            self.lab.node.sysctl(f"ipv4/{name}", 0)
        return self.settings_are_right
