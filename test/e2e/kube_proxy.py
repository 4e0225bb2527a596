# SPDX-License-Identifier: Apache-2.0
#
# What kube-proxy's ipvs mode leaves on a node, made with ipvsadm, ipset and iptables: device, virtual servers, the 17
# ipsets of each family, and the chains of nat, filter and mangle, as kube-proxy 1.36 makes them.
import kernel_state
from checks import load_module

SETS = {
    "LOOP-BACK": "hash:ip,port,ip",
    "CLUSTER-IP": "hash:ip,port",
    "EXTERNAL-IP": "hash:ip,port",
    "EXTERNAL-IP-LOCAL": "hash:ip,port",
    "LOAD-BALANCER": "hash:ip,port",
    "LOAD-BALANCER-FW": "hash:ip,port",
    "LOAD-BALANCER-LOCAL": "hash:ip,port",
    "LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip",
    "LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
    "NODE-PORT-TCP": "bitmap:port range 0-65535",
    "NODE-PORT-LOCAL-TCP": "bitmap:port range 0-65535",
    "NODE-PORT-UDP": "bitmap:port range 0-65535",
    "NODE-PORT-LOCAL-UDP": "bitmap:port range 0-65535",
    "NODE-PORT-SCTP-HASH": "hash:ip,port",
    "NODE-PORT-LOCAL-SCTP-HASH": "hash:ip,port",
    "HEALTH-CHECK-NODE-PORT": "bitmap:port range 0-65535",
    "IPVS-IPS": "hash:ip",
}

# "SET" is replaced by the prefix of the family's ipsets, PODS, SELF and REJECT by what the family has.
RULES = """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-PROXY-CANARY - [0:0]
-A KUBE-SERVICES -s SELF -j RETURN
-A KUBE-SERVICES -m comment --comment "Kubernetes service lb portal" -m set --match-set SETLOAD-BALANCER dst,dst \
-j KUBE-LOAD-BALANCER
-A KUBE-SERVICES ! -s PODS -m comment --comment "Kubernetes service cluster ip + port for masquerade purpose" \
-m set --match-set SETCLUSTER-IP dst,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m set --match-set SETEXTERNAL-IP dst,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m set --match-set SETEXTERNAL-IP dst,dst -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL \
-j ACCEPT
-A KUBE-SERVICES -m set --match-set SETEXTERNAL-IP dst,dst -m addrtype --dst-type LOCAL -j ACCEPT
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-SERVICES -m set --match-set SETCLUSTER-IP dst,dst -j ACCEPT
-A KUBE-SERVICES -m set --match-set SETLOAD-BALANCER dst,dst -j ACCEPT
-A KUBE-POSTROUTING -m comment --comment "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose" \
-m set --match-set SETLOOP-BACK dst,dst,src -j MASQUERADE
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-NODE-PORT -p tcp -m set --match-set SETNODE-PORT-LOCAL-TCP dst -j RETURN
-A KUBE-NODE-PORT -p tcp -m set --match-set SETNODE-PORT-TCP dst -j KUBE-MARK-MASQ
-A KUBE-LOAD-BALANCER -m set --match-set SETLOAD-BALANCER-LOCAL dst,dst -j RETURN
-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
*filter
:KUBE-FORWARD - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SOURCE-RANGES-FIREWALL - [0:0]
:KUBE-IPVS-FILTER - [0:0]
:KUBE-IPVS-OUT-FILTER - [0:0]
:KUBE-PROXY-CANARY - [0:0]
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-NODE-PORT -m set --match-set SETHEALTH-CHECK-NODE-PORT dst -j ACCEPT
-A KUBE-PROXY-FIREWALL -m set --match-set SETLOAD-BALANCER-FW dst,dst -j KUBE-SOURCE-RANGES-FIREWALL
-A KUBE-SOURCE-RANGES-FIREWALL -m set --match-set SETLOAD-BALANCER-SOURCE-CIDR dst,dst,src -j RETURN
-A KUBE-SOURCE-RANGES-FIREWALL -m set --match-set SETLOAD-BALANCER-SOURCE-IP dst,dst,src -j RETURN
-A KUBE-SOURCE-RANGES-FIREWALL -j DROP
-A KUBE-IPVS-FILTER -m set --match-set SETLOAD-BALANCER dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m set --match-set SETCLUSTER-IP dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m set --match-set SETEXTERNAL-IP dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m set --match-set SETEXTERNAL-IP-LOCAL dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m set --match-set SETHEALTH-CHECK-NODE-PORT dst -j RETURN
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set SETIPVS-IPS dst -j REJECT --reject-with REJECT
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-I INPUT -m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT
-I INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL
-I FORWARD -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL
-I INPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER
-I OUTPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-OUT-FILTER
COMMIT
*mangle
:KUBE-PROXY-CANARY - [0:0]
COMMIT
"""

WORDS = {
    "inet": {"-s PODS": "-s 10.244.0.0/16", "-s SELF": "-s 127.0.0.0/8", "with REJECT": "with icmp-port-unreachable"},
    "inet6": {"-s PODS": "-s fd00:244::/32", "-s SELF": "-s ::1/128", "with REJECT": "with icmp6-port-unreachable"},
}
FAMILIES = (("inet", "iptables", "KUBE-"), ("inet6", "ip6tables", "KUBE-6-"))


def set_name(prefix, name):
    """ipset cuts at 31 characters, and so does kube-proxy."""
    return f"{prefix}{name}"[:31]


def make_sets(node, entries):
    """`entries`: {"CLUSTER-IP": ["10.96.3.1,tcp:80"]}; each goes into the set of its family, ports into both."""
    lines = []
    for family, _, prefix in FAMILIES:
        for name, kind in SETS.items():
            options = f"family {family}" if kind.startswith("hash") else ""
            lines.append(f"create {set_name(prefix, name)} {kind} {options}")
            for entry in entries.get(name, ()):
                if kind.startswith("bitmap") or (":" in entry.split(",")[0]) == (family == "inet6"):
                    lines.append(f"add {set_name(prefix, name)} {entry}")
    node.run("ipset", "restore", input="\n".join(lines) + "\n")


def make_chains(node, backend, is_made=lambda line: True):
    """`backend`: nft or legacy. `is_made` says of a line of RULES whether it is made."""
    rules = "".join(line for line in RULES.splitlines(keepends=True) if is_made(line))
    for family, tool, prefix in FAMILIES:
        text = rules.replace("SETLOAD-BALANCER-SOURCE-CIDR", set_name(prefix, "LOAD-BALANCER-SOURCE-CIDR"))
        for name, value in {"SET": prefix, **WORDS[family]}.items():
            text = text.replace(name, value)
        node.run(f"{tool}-{backend}-restore", "--noflush", input=text)


def make_device(node, addresses):
    load_module("ip_vs")
    node.ip("link add kube-ipvs0 type dummy", "link set kube-ipvs0 arp off",
            *(f"address add {each}{'/128 nodad' if ':' in each else '/32'} dev kube-ipvs0" for each in addresses))
    for name in ("conntrack", "expire_nodest_conn", "expire_quiescent_template"):
        node.sysctl(f"ipv4/vs/{name}", 1)


KINDS = {"TCP": "-t", "UDP": "-u", "SCTP": "--sctp-service"}


def make_server(node, server, destinations, affinity=None):
    """`server`: "TCP 10.96.3.1:80"."""
    protocol, where = server.split()
    node.run("ipvsadm", "-A", KINDS[protocol], where, "-s", "rr", *(("-p", str(affinity)) if affinity else ()))
    for each in destinations:
        add_destination(node, server, each)


def add_destination(node, server, destination):
    protocol, where = server.split()
    node.run("ipvsadm", "-a", KINDS[protocol], where, "-r", destination, "-m", "-w", "1")


def make_servers(node, servers):
    """In one go. `servers`: {"TCP 10.96.3.1:80": (destinations, affinity)}."""
    lines = []
    for server, (destinations, seconds) in servers.items():
        protocol, where = server.split()
        lines.append(f"-A {KINDS[protocol]} {where} -s rr{f' -p {seconds}' if seconds else ''}")
        lines += [f"-a {KINDS[protocol]} {where} -r {each} -m -w 1" for each in destinations]
    node.run("ipvsadm", "-R", input="\n".join(lines) + "\n")


def read_servers(node):
    """{"TCP 10.96.3.1:80": ("rr", affinity, {destination: weight})}, as ipvsadm lists them."""
    servers, names = {}, {option: name for name, option in KINDS.items()}
    for line in node.run("ipvsadm", "-Sn").splitlines():
        words = line.split()
        server = f"{names.get(words[1], 'FWM')} {words[2]}"
        value = lambda option: words[words.index(option) + 1] if option in words else None
        if words[0] == "-A":
            servers[server] = (value("-s"), int(value("-p") or 0) or None, {})
        else:
            assert "-m" in words, f"{line}: kube-proxy masquerades"
            servers[server][2][value("-r")] = int(value("-w"))
    return servers


def first_pass(node, servers, addresses):
    """What kube-proxy's first pass does with virtual servers and addresses of kube-ipvs0, in its order: missing ones
    are made, differing ones set, endpoints get the weight 1, those that are none go (or drain), and in the end
    addresses and virtual servers that are no Service's. Returns what it did, line by line."""
    found, bound, done = read_servers(node), bound_addresses(node), []
    for server, (destinations, affinity) in servers.items():
        if server not in found:
            make_server(node, server, destinations, affinity)
            done.append(f"{server}: made")
            continue
        scheduler, seconds, weights = found[server]
        if (scheduler, seconds) != ("rr", affinity):
            protocol, where = server.split()
            node.run("ipvsadm", "-E", KINDS[protocol], where, "-s", "rr", *(("-p", str(affinity)) if affinity else ()))
            done.append(f"{server}: {scheduler} {seconds} set to rr {affinity}")
        done += _match_destinations(node, server, destinations, weights)
    done += [f"{each}: address added" for each in addresses if each not in bound]
    node.ip(*(f"address add {each}/{128 if ':' in each else 32} dev kube-ipvs0" for each in addresses
              if each not in bound))
    for each in sorted(bound - set(addresses)):
        node.ip(f"address delete {each}/{128 if ':' in each else 32} dev kube-ipvs0")
        done.append(f"{each}: address deleted")
    for server in sorted(set(found) - set(servers)):
        protocol, where = server.split()
        assert protocol != "FWM", f"{server}: kube-proxy would try to delete it again and again"
        node.run("ipvsadm", "-D", KINDS[protocol], where)
        done.append(f"{server}: deleted")
    return done


def bound_addresses(node):
    with node.namespace:
        return kernel_state.addresses_of("kube-ipvs0")


def _match_destinations(node, server, wanted, weights):
    protocol, where = server.split()
    done = []
    for each in wanted:
        if each not in weights:
            add_destination(node, server, each)
            done.append(f"{server}: {each} added")
        elif weights[each] != 1:
            node.run("ipvsadm", "-e", KINDS[protocol], where, "-r", each, "-m", "-w", "1")
            done.append(f"{server}: {each} weight {weights[each]} set to 1")
    for each in set(weights) - set(wanted):
        if weights[each] != 0:  # else it drains already
            node.run("ipvsadm", "-e", KINDS[protocol], where, "-r", each, "-m", "-w", "0")
            done.append(f"{server}: {each} drains")
    return done


def names_left(node, backend):
    """Chains and ipsets that are kube-proxy's by their names, in all that iptables and ipset list."""
    found = [line.split()[0].removeprefix(":") for _, tool, _ in FAMILIES
             for line in node.run(f"{tool}-{backend}-save").splitlines() if line.startswith(":KUBE-")]
    ours = ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ",
            "KUBE-FORWARD", "KUBE-PROXY", "KUBE-SOURCE-RANGES", "KUBE-IPVS")
    sets = node.run("ipset", "list", "-n").split()
    known = {set_name(prefix, name) for _, _, prefix in FAMILIES for name in SETS}
    return [name for name in found if name.startswith(ours)] + [name for name in sets if name in known]
