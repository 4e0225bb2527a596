# SPDX-License-Identifier: Apache-2.0
#
# The way back: a node that was taken over from kube-proxy's ipvs mode is handed back, and no user of the cluster
# notices; and all that `cleanup` says is what it does. What kube-proxy does when it starts is done by hand
# (kube_proxy.first_pass): it deletes virtual servers and addresses of kube-ipvs0 that it does not know.
import os
import re
import subprocess
import time

import kube_proxy
from checks import show, wait_until
from node_of_kube_proxy import (FLAGS, V1, VIPS, Clients, everything, forget, group_up, is_ours, kube_proxy_starts,
                                make_kube_proxys, make_rules, our_table, say_who_made_it, set_entries,
                                wanted_servers, write_pods)
from objects import service

SOME_SECONDS = 2  # in which each client exchanges some ten words


def settings(lab):
    """Of this network namespace, and the timeouts of IPVS."""
    values, root = {}, "/proc/sys/net"
    with lab.node.namespace:
        for directory, _, files in os.walk(root):
            if re.search("/(conf|neigh)/kube-ipvs0$", directory):
                continue  # they come and go with the device
            for file in files:
                path = f"{directory}/{file}"
                try:
                    with open(path, encoding="ascii") as text:
                        values[path.removeprefix("/proc/sys/").replace("/", ".")] = text.read().strip()
                except OSError:
                    pass  # written only, or without meaning here
    for name in ("netfilter.nf_conntrack_count", "ipv4.tcp_fastopen_key"):
        values.pop(f"net.{name}", None)
    values["the timeouts of IPVS"] = lab.node.run("ipvsadm", "-L", "--timeout").strip().rpartition(": ")[2]
    return values


def in_force(lab):
    """All that the node serves by."""
    return [*everything(lab), *our_table(lab), *(f"{name} = {value}" for name, value in settings(lab).items())]


def same(was, now, but=()):
    differing = [line for line in set(was) ^ set(now) if line not in but]
    assert not differing, differing


def begin(lab, backend):
    """kube-proxy ran, and clients began then."""
    say_who_made_it()
    forget(lab)
    write_pods(lab)
    make_kube_proxys(lab, backend)
    return Clients(lab)


def we_start(lab, *flags):
    lab.agent.restart(*FLAGS, *flags)
    wait_until("all of kube-proxy's is gone", 40, lambda: is_ours(lab))


def print_lines(title, lines):
    show(title)
    for line in lines:
        show(f"  {line}")


REMOVED = "removed nftables table inet kube-ipvs with [0-9]+ set elements"
LEFT = "left nftables table inet kube-ipvs, with what masquerades alone, until kube-proxy has rules here"


def hand_over(lab, title, expected):
    did = lab.agent.cleanup("--handover")
    print_lines(title, did)
    assert len(did) == 1 and re.fullmatch(expected, did[0]), did


def there_and_back(lab, backend):
    clients = begin(lab, backend)
    we_start(lab)

    served_by = in_force(lab)
    lab.agent.stop()
    time.sleep(SOME_SECONDS)
    same(served_by, in_force(lab))
    clients.check_draining_and_affinity()

    # First the handover, then kube-proxy.
    hand_over(lab, "cleanup --handover, before kube-proxy:", LEFT)
    chains = re.findall(r"^\tchain (\S+)", "\n".join(our_table(lab)), re.MULTILINE)
    assert sorted(chains) == ["cluster-ip", "external", "external-local", "node-port", "postrouting", "services-4",
                              "services-6"], chains
    time.sleep(SOME_SECONDS)
    done = kube_proxy_starts(lab)
    make_rules(lab, backend)
    assert not done, done
    time.sleep(SOME_SECONDS)
    hand_over(lab, "cleanup --handover, again:", REMOVED)
    time.sleep(SOME_SECONDS)
    clients.check_draining_and_affinity()

    # Again we start, and this time kube-proxy is there before the handover, as the documents advise.
    we_start(lab)
    assert not lab.agent.logged("Connections cut")
    lab.agent.stop()
    make_rules(lab, backend)
    done = kube_proxy_starts(lab)
    assert not done, done
    hand_over(lab, "cleanup --handover, beside kube-proxy:", REMOVED)
    time.sleep(SOME_SECONDS)
    assert not kube_proxy_starts(lab)
    clients.check()
    lab.outside.reaches("http://203.0.113.1:30301", "pod-1", "pod-2")


def hand_over_while_kube_proxy_starts(lab, backend):
    """At its start kube-proxy makes and links its chains; all rules in them follow some seconds later."""
    clients = begin(lab, backend)
    we_start(lab)
    lab.agent.stop()
    kube_proxy.make_sets(lab.node, set_entries())
    kube_proxy.make_chains(lab.node, backend, lambda line: not line.startswith("-A "))
    for _ in range(2):
        hand_over(lab, "cleanup --handover, while kube-proxy has empty chains:", LEFT)
        lab.outside.reaches("http://203.0.113.1:30301", "pod-1", "pod-2")
    assert not kube_proxy_starts(lab)
    kube_proxy.make_chains(lab.node, backend, lambda line: not line.startswith("-I "))
    hand_over(lab, "cleanup --handover, when it has rules:", REMOVED)
    time.sleep(SOME_SECONDS)
    clients.check()
    lab.outside.reaches("http://203.0.113.1:30301", "pod-1", "pod-2")


def case_a_handover_while_kube_proxy_with_iptables_nft_starts_loses_no_exchange(lab):
    hand_over_while_kube_proxy_starts(lab, "nft")


def case_a_handover_while_kube_proxy_with_iptables_legacy_starts_loses_no_exchange(lab):
    hand_over_while_kube_proxy_starts(lab, "legacy")


def case_a_handover_before_kube_proxy_has_rules_leaves_what_accepts_forwarded_packets(lab):
    forget(lab)
    lab.node.run("iptables-nft", "-P", "FORWARD", "DROP")
    try:
        lab.agent.restart(*FLAGS, "--forward-accept")
        wait_until("our rule is there", 10, lambda: lab.agent.metric("kube_ipvs_forward_dropping_chains") == 0)
        lab.agent.stop()
        for _ in range(2):
            did = lab.agent.cleanup("--handover")
            print_lines("cleanup --handover, before kube-proxy:", did)
            assert did == [LEFT, "left our rule in ip filter FORWARD, until kube-proxy has rules here"], did
            lab.outside.reaches("http://203.0.113.1:30301", "pod-1", "pod-2")
        make_rules(lab, "nft")
        did = lab.agent.cleanup("--handover")
        print_lines("cleanup --handover, when it has rules:", did)
        assert re.fullmatch(REMOVED, did[0]) and did[1:] == ["removed our rule in ip filter FORWARD"], did
        lab.outside.reaches("http://203.0.113.1:30301", "pod-1", "pod-2")
    finally:
        lab.node.run("iptables-nft", "-P", "FORWARD", "ACCEPT")


def case_from_kube_proxy_with_iptables_nft_to_us_and_back_no_exchange_is_lost(lab):
    there_and_back(lab, "nft")


def case_from_kube_proxy_with_iptables_legacy_to_us_and_back_no_exchange_is_lost(lab):
    there_and_back(lab, "legacy")


def local_routes(lab):
    """Of virtual IPs."""
    text = lab.node.run("ip", "route", "show", "table", "local", "dev", "kube-ipvs0")
    return sorted(re.findall(r"^local (\S+)", text, re.MULTILINE))


def case_addresses_that_kube_proxy_deletes_after_the_handover_leave_nothing_behind(lab):
    forget(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.stop()
    lab.agent.cleanup("--handover")
    assert local_routes(lab) == sorted(each for each in VIPS if ":" not in each)
    # Its Service was deleted before kube-proxy started.
    servers = {name: what for name, what in wanted_servers().items() if "10.96.3.1:" not in name}
    done = kube_proxy.first_pass(lab.node, servers, [each for each in VIPS if each != "10.96.3.1"])
    assert done == ["10.96.3.1: address deleted", "TCP 10.96.3.1:7: deleted", "TCP 10.96.3.1:80: deleted"], done
    assert "10.96.3.1" not in local_routes(lab)


def case_with_routes_as_binding_a_handover_makes_them_addresses_and_no_exchange_is_lost(lab):
    clients = begin(lab, "nft")
    we_start(lab, "--vip-binding=route")
    assert not lab.has_address("10.96.3.1")
    lab.agent.stop()
    time.sleep(SOME_SECONDS)
    make_rules(lab, "nft")
    did = lab.agent.cleanup("--handover")
    print_lines("cleanup --handover:", did)
    assert did[0] == f"moved {len(VIPS)} virtual IPs from routes to addresses of kube-ipvs0", did
    done = kube_proxy_starts(lab)
    assert not done, done
    time.sleep(SOME_SECONDS)
    clients.check()


SETTING_FLAGS = ("--ipvs-strict-arp", "--reserve-node-ports", "--ipvs-tcp-timeout=600s",
                 "--conntrack-tcp-timeout-established=200h", "--conntrack-tcp-timeout-close-wait=2h",
                 "--conntrack-udp-timeout=50s", "--conntrack-udp-timeout-stream=250s", "--conntrack-tcp-be-liberal",
                 "--forward-accept")


# As a new network namespace has them; earlier tests have set them.
ORIGINAL = {"ipv4/vs/conntrack": 0, "ipv4/vs/expire_nodest_conn": 0, "ipv4/vs/expire_quiescent_template": 0,
            "ipv4/ip_forward": 0, "netfilter/nf_conntrack_tcp_timeout_close_wait": 60}


# The kernel sets them with ip_forward.
FOLLOWERS = r"net\.ipv4\.conf\..*\.(forwarding|accept_redirects)"


def print_settings(before, between, after):
    changed = sorted(name for name in before | between if before.get(name) != between.get(name)
                     and not re.fullmatch(FOLLOWERS, name))
    print_lines("setting | before | in force | after", [
        f"{name} | {before.get(name)} | {between.get(name)} | {after.get(name)}" for name in changed])
    return changed


def case_cleanup_does_what_its_dry_run_names_and_every_setting_is_as_it_was(lab):
    forget(lab)
    lab.node.run("iptables-nft", "-P", "FORWARD", "DROP")
    for name, value in ORIGINAL.items():
        lab.node.sysctl(name, value)
    before = settings(lab)
    lab.agent.restart(*FLAGS, *SETTING_FLAGS)
    wait_until("the forward rule is there", 10, lambda: lab.agent.metric("kube_ipvs_forward_dropping_chains") == 0)
    between, servers = settings(lab), lab.virtual_servers()
    lab.agent.stop()
    kernel = in_force(lab)
    would = lab.agent.cleanup("--dry-run")
    same(kernel, in_force(lab))
    did = lab.agent.cleanup()
    print_lines("cleanup --dry-run | cleanup", [f"{one} | {other}" for one, other in zip(would, did)])
    assert [re.sub("^would (remove|restore)", r"\1d", line) for line in would] == did
    after = settings(lab)
    changed = print_settings(before, between, after)
    assert {f"net.{name.replace('/', '.')}" for name in ORIGINAL} < set(changed)
    assert after == before, set(after.items()) ^ set(before.items())

    named = [line.split()[3] + " " + line.split()[4] for line in did if line.startswith("removed virtual server")]
    assert sorted(named) == sorted(servers), set(named) ^ set(servers)
    assert did[0] == f"removed device kube-ipvs0 with {len(VIPS)} virtual IPs", did
    assert any(line.startswith("removed nftables table inet kube-ipvs with ") for line in did)
    assert "removed our rule in ip filter FORWARD" in did
    restored = [re.sub("^restored (sysctl )?(.*): .* -> .*", r"\2", line).replace("/", ".") for line in did
                if line.startswith("restored")]
    assert sorted(restored) == changed, set(restored) ^ set(changed)
    assert not lab.has_device() and not lab.virtual_servers()
    assert lab.agent.cleanup() == ["nothing of kube-ipvs is here"]
    lab.node.run("iptables-nft", "-P", "FORWARD", "ACCEPT")


def try_cleanup(lab, *flags, prefix=()):
    with lab.node.namespace:
        return subprocess.run([*prefix, lab.agent.program, "cleanup", *flags], text=True, capture_output=True,
                              timeout=60)


UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")


def case_without_rights_cleanup_changes_nothing_and_says_why(lab):
    forget(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.stop()
    kernel = in_force(lab)
    os.chmod(lab.directory, 0o755)
    for flags in ((), ("--dry-run",), ("--handover",)):
        ended = try_cleanup(lab, *flags, prefix=UNPRIVILEGED)
        print_lines(f"cleanup {' '.join(flags)} without rights, exit code {ended.returncode}:",
                    (ended.stdout + ended.stderr).splitlines())
        assert ended.returncode == 1 and "nothing of kube-ipvs" not in ended.stdout
        assert len(set(ended.stderr.splitlines())) == len(ended.stderr.splitlines()), "each fault once"
        assert "kube-proxy has no rules here" not in ended.stderr, "nobody could look"
        same(kernel, in_force(lab))


def case_a_table_that_another_program_owns_stays_and_is_named_and_the_rest_goes(lab):
    if not lab.node.succeeds("nft", "-c", "add table inet owned { flags owner; }"):
        show("this kernel has no tables with an owner: they came with Linux 5.12")
        return
    forget(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.stop()
    lab.node.run("nft", "delete", "table", "inet", "kube-ipvs")
    with lab.node.namespace:
        owner = subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    owner.stdin.write("add table inet kube-ipvs { flags owner; }\n")
    owner.stdin.flush()
    wait_until("the table is there", 10, lambda: lab.node.succeeds("nft", "list", "table", "inet", "kube-ipvs"))
    ended = try_cleanup(lab)
    print_lines(f"cleanup, exit code {ended.returncode}:", (ended.stdout + ended.stderr).splitlines())
    assert ended.returncode == 1 and "deleting our nftables table" in ended.stderr, ended
    assert not lab.virtual_servers() and not lab.has_device()
    owner.stdin.close()
    owner.wait()
    print_lines("cleanup, when it is gone:", lab.agent.cleanup())
    assert lab.agent.cleanup() == ["nothing of kube-ipvs is here"]


FOREIGN_TABLES = (
    "table inet kube-ipvs {\n set cluster-ips-4 { type ipv4_addr; elements = { 10.96.3.1 }\n }\n}",
    "table inet kube-ipvs {\n set node-ports { type ifname; elements = { eth0 }\n }\n map short-cuts-4 {\n"
    "type ipv4_addr : verdict; elements = { 10.96.3.1 : drop }\n }\n}",
    "table inet kube-ipvs {\n chain c { type filter hook input priority 0; }\n}",
)


def case_a_table_of_our_name_with_sets_of_another_layout_is_removed_and_costs_nothing_else(lab):
    for text in FOREIGN_TABLES:
        forget(lab)
        lab.agent.restart(*FLAGS)
        lab.agent.stop()
        lab.node.run("nft", "delete", "table", "inet", "kube-ipvs")
        lab.node.run("nft", "-f", "-", input=text)
        lab.node.run("ipvsadm", "-A", "-t", "198.51.100.7:80", "-s", "rr")
        did = lab.agent.cleanup()
        print_lines("cleanup:", did)
        assert any(line.startswith("removed nftables table inet kube-ipvs") for line in did), did
        assert list(lab.virtual_servers()) == ["TCP 198.51.100.7:80"] and not lab.has_device()


def case_a_cleanup_after_the_handover_leaves_what_kube_proxy_has(lab):
    forget(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.stop()
    make_rules(lab, "nft")
    lab.agent.cleanup("--handover")
    assert not kube_proxy_starts(lab)
    kernel = [*everything(lab), *(f"{name} = {value}" for name, value in settings(lab).items())]
    for flags in (("--dry-run",), (), ("--handover",)):
        ended = try_cleanup(lab, *flags)
        print_lines(f"cleanup {' '.join(flags)}:", (ended.stdout + ended.stderr).splitlines())
        assert ended.returncode == 0 and ended.stdout == "nothing of kube-ipvs is here\n", ended
        same(kernel, [*everything(lab), *(f"{name} = {value}" for name, value in settings(lab).items())])
    assert not kube_proxy_starts(lab)


def case_after_a_handover_that_kube_proxy_never_followed_cleanup_removes_all(lab):
    forget(lab)
    lab.agent.restart(*FLAGS)
    lab.agent.stop()
    lab.agent.cleanup("--handover")
    print_lines("cleanup:", lab.agent.cleanup())
    assert not lab.has_device() and not lab.virtual_servers()
    assert lab.agent.cleanup() == ["nothing of kube-ipvs is here"]


def case_cleanup_on_a_node_of_kube_proxy_where_we_never_ran_changes_nothing(lab):
    forget(lab)
    make_kube_proxys(lab, "legacy")
    kernel = everything(lab)
    ended = try_cleanup(lab)
    print_lines("cleanup:", (ended.stdout + ended.stderr).splitlines())
    assert ended.returncode == 0 and ended.stdout == "nothing of kube-ipvs is here\n", ended
    same(kernel, everything(lab))


def case_cleanup_removes_ours_and_leaves_kube_proxys_on_the_same_device(lab):
    forget(lab)
    make_kube_proxys(lab, "nft")
    kernel = everything(lab)
    lab.write("case.yaml", service("extra", "10.96.3.50", V1, node_port=30350, type="NodePort"))
    lab.agent.restart(*FLAGS, "--takeover=report")
    assert lab.has_address("10.96.3.50") and lab.has_server("TCP 203.0.113.1:30350")
    lab.agent.stop()
    would, did = lab.agent.cleanup("--dry-run"), lab.agent.cleanup()
    print_lines("cleanup:", did)
    assert [re.sub("^would (remove|restore)", r"\1d", line) for line in would] == did
    assert did[0] == "removed 1 virtual IP of kube-ipvs0", did
    same(kernel, everything(lab))


def case_a_reserved_range_of_ports_is_restored_by_a_handover_too(lab):
    forget(lab)
    before = settings(lab)["net.ipv4.ip_local_reserved_ports"]
    lab.agent.restart(*FLAGS, "--reserve-node-ports")
    assert settings(lab)["net.ipv4.ip_local_reserved_ports"] == "30000-32767"
    lab.agent.stop()
    print_lines("cleanup --handover:", lab.agent.cleanup("--handover"))
    assert settings(lab)["net.ipv4.ip_local_reserved_ports"] == before
    assert settings(lab)["net.ipv4.vs.conntrack"] == "1"


def try_plan(lab, *flags, prefix=()):
    with lab.node.namespace:
        return subprocess.run([*prefix, lab.agent.program, "plan", "--against-kernel", "--manifests", lab.manifests,
                               "--hostname-override", "node", *flags], text=True, capture_output=True, timeout=120)


def plan(lab, title, code, *flags, prefix=()):
    """Its lines; nothing in the kernel changes."""
    kernel = [*everything(lab), lab.node.run("nft", "--stateless", "list", "ruleset"),
              *lab.node.run("ipset", "save", "-sorted").splitlines(), lab.node.run("ip", "-details", "address"),
              *(f"{name} = {value}" for name, value in settings(lab).items())]
    ended = try_plan(lab, *flags, prefix=prefix)
    print_lines(f"plan {title}, exit code {ended.returncode}:", [*ended.stdout.splitlines(), "standard error:",
                                                                *ended.stderr.splitlines()])
    assert ended.returncode == code, ended
    same(kernel, [*everything(lab), lab.node.run("nft", "--stateless", "list", "ruleset"),
                  *lab.node.run("ipset", "save", "-sorted").splitlines(), lab.node.run("ip", "-details", "address"),
                  *(f"{name} = {value}" for name, value in settings(lab).items())])
    return ended


# What make_kube_proxys makes differently from what is wanted, and pod-3, which has no connections.
DIFFERENCE = """\
TCP 10.96.3.1:7 (Service default/web)
  endpoint 10.244.1.13:7: deleted
TCP 10.96.3.99:80
  deleted, with 1 endpoints
TCP 10.244.1.1:30301 (Service default/lb)
  endpoint 10.244.1.12:80: added with weight 1
TCP 192.0.2.40:80 (Service default/lb)
  endpoint 10.244.1.12:80: added with weight 1
  endpoint 10.244.1.99:80: deleted
TCP 203.0.113.1:30301 (Service default/lb)
  endpoint 10.244.1.12:80: added with weight 1
TCP 203.0.113.3:30301 (Service default/lb)
  endpoint 10.244.1.12:80: added with weight 1
kube-ipvs0: 10.96.3.99 deleted
""".splitlines()
WORLD_READABLE = 0o755


def plan_before_and_after(lab, backend):
    os.chmod(lab.directory, WORLD_READABLE)
    forget(lab)
    make_kube_proxys(lab, backend)
    lab.node.run("ipvsadm", "-e", "-t", "10.96.3.1:7", "-r", "10.244.1.13:7", "-m", "-w", "0")
    ended = plan(lab, "before the takeover", 1, *FLAGS)
    assert "would be taken over" in ended.stderr and ": taken over" not in ended.stderr, ended.stderr
    lines = ended.stdout.splitlines()
    assert sorted(lines) == sorted(DIFFERENCE), set(lines) ^ set(DIFFERENCE)

    forgotten = plan(lab, "without --cluster-cidr", 1, *FLAGS[:2]).stdout.splitlines()
    for family in ("10.244.0.0/16", "fd00:244::/32"):
        assert f"  masqueraded: clients outside {family} -> clients whose address is a virtual IP" in forgotten, family
    assert not any("masqueraded" in line for line in lines)

    range_of_pods = "KUBE-LOAD-BALANCER-SOURCE-CIDR", "192.0.2.41,tcp:80,10.244.0.0/16"
    lab.node.run("ipset", "del", *range_of_pods)
    limited = plan(lab, "without one source range", 1, *FLAGS).stdout.splitlines()
    at = limited.index("TCP 192.0.2.41:80 (Service default/lb)")
    assert limited[at + 1] == ("  allowed: clients in 203.0.113.0/24, this node -> "
                               "clients in 10.244.0.0/16, 203.0.113.0/24, this node"), limited
    lab.node.run("ipset", "add", *range_of_pods)
    assert not any("allowed" in line for line in lines)

    without = plan(lab, "before the takeover, without rights", 1, *FLAGS, prefix=UNPRIVILEGED)
    assert without.stdout == ended.stdout
    assert UNREAD in without.stderr, without.stderr

    we_start(lab)
    assert plan(lab, "after the takeover", 0, *FLAGS).stdout == "no difference\n"
    without = plan(lab, "after the takeover, without rights", 0, *FLAGS, prefix=UNPRIVILEGED)
    assert (without.stdout, without.stderr) == ("no difference\n", UNREAD), without


UNREAD = "without CAP_NET_ADMIN not read, and so not compared: nftables and iptables rules, ipsets, scheduler flags\n"


def case_a_plan_on_a_node_of_kube_proxy_with_iptables_nft_names_what_differs_and_after_the_takeover_nothing(lab):
    plan_before_and_after(lab, "nft")


def case_a_plan_on_a_node_of_kube_proxy_with_iptables_legacy_names_what_differs_and_after_the_takeover_nothing(lab):
    plan_before_and_after(lab, "legacy")
