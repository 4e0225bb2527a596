# SPDX-License-Identifier: Apache-2.0
#
# The file of --config changes while the agent serves: each setting that can change is in force without a restart and
# without a failed request; a file with a fault changes nothing.
import json
import os
import shutil
import signal

from agent import CLUSTER_IPS
from checks import holds_for, show, wait_until
from loads import VIP, more_requests, no_load_failed, start_loads
from objects import pod

PODS = tuple(f"10.244.1.{number}:80" for number in (11, 12, 13))
OURS = {"apiVersion": "kube-ipvs.io/v1alpha1", "kind": "KubeIpvsConfiguration"}
KUBE_PROXY = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}


class Settings:
    """The file, as data (JSON is YAML, too), and three ways to replace it."""

    def __init__(self, lab, head):
        self.lab, self.head, self.directory, self.version = lab, head, f"{lab.directory}/settings", 0
        self.values = {}
        shutil.rmtree(self.directory, ignore_errors=True)
        os.mkdir(self.directory)
        self.path = f"{self.directory}/config.yaml"

    def text(self):
        return json.dumps({**self.head, **self.values})

    def write(self, text=None):
        """In place, as an editor may."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.text() if text is None else text)

    def rename(self, text=None):
        with open(f"{self.directory}/new", "w", encoding="utf-8") as file:
            file.write(self.text() if text is None else text)
        os.rename(f"{self.directory}/new", self.path)

    def swap(self, text=None):
        """As kubelet does it for a mounted ConfigMap: the file is a link through ..data, which is replaced."""
        self.version += 1
        directory = f"{self.directory}/..{self.version}"
        os.mkdir(directory)
        with open(f"{directory}/config.yaml", "w", encoding="utf-8") as file:
            file.write(self.text() if text is None else text)
        os.symlink(f"..{self.version}", f"{self.directory}/..data_tmp")
        os.rename(f"{self.directory}/..data_tmp", f"{self.directory}/..data")
        if not os.path.islink(self.path):
            os.symlink("..data/config.yaml", self.path)
        if self.version > 1:
            shutil.rmtree(f"{self.directory}/..{self.version - 1}")

    def change(self, way, key, value, in_force):
        """`key`: "ipvs.scheduler". Returns when the kernel, or whoever it concerns, shows it."""
        *sections, name = key.split(".")
        place = self.values
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
        way()
        wait_until(f"{key} is {value}", 40, in_force)
        # What the audits repair may come later; nothing of it may be an error.
        assert reloads(self.lab, "refused") == 0


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12, pod_3=13)
    for number in (1, 2, 3):
        lab.write(f"pod-{number}.yaml", pod(f"pod-{number}", f"{10 + number}"))
    lab.write_common_services()


def use(lab, head, first):
    settings = Settings(lab, head)
    getattr(settings, first)()
    lab.agent.restart(*CLUSTER_IPS, "--config", settings.path)
    lab.served(VIP, 80, *PODS)
    return settings


def reloads(lab, result):
    return lab.agent.metric("kube_ipvs_config_reloads_total", result=result)


def host(lab, key):
    with lab.node.namespace, open(f"/proc/sys/net/{key}") as file:
        return file.read().strip()


def timeouts(lab):
    """Of IPVS, in seconds: TCP, after a FIN, UDP."""
    return [int(word) for word in lab.node.run("ipvsadm", "-L", "--timeout").split() if word.isdigit()]


def configz(lab, key):
    value = json.loads(lab.node.get("http://127.0.0.1:10249/configz"))["kubeproxy.config.k8s.io"]
    for part in key.split("."):
        value = value[part]
    return value


def part_of(lab, chain):
    return lab.node.run("nft", "list", "chain", "inet", "kube-ipvs", chain)


def own(lab, key):
    return json.loads(lab.node.get("http://127.0.0.1:10249/configz"))["kube-ipvs.io"][key]


def addresses_of(lab, port):
    """Of IPv4, where a node port is served."""
    return [address for address in lab.node_port_addresses(port) if "." in address]


def score_of(pid):
    with open(f"/proc/{pid}/oom_score_adj") as file:
        return int(file.read())


def answers(lab, url):
    return lab.node.fetch(url).status == 200


def case_each_setting_of_a_kube_proxy_configuration_changes_live_by_a_symlink_swap_and_no_request_fails(lab):
    settings = use(lab, KUBE_PROXY, "swap")
    pid = lab.processes["agent"]
    start_loads(lab)
    lab["pod-2"].start_load("second", "requests", VIP, 80, workers=2)
    more_requests(lab, 20)

    def change(key, value, in_force):
        settings.change(settings.swap, key, value, in_force)

    for scheduler in ("lc", "wrr", "sh", "rr"):
        change("ipvs.scheduler", scheduler, lambda name=scheduler: f"{VIP}:80 {name}" in lab.ipvs_table())
    change("ipvs.strictARP", True, lambda: host(lab, "ipv4/conf/all/arp_ignore") == "1")
    change("ipvs.strictARP", False, lambda: host(lab, "ipv4/conf/all/arp_ignore") == "0")
    change("ipvs.tcpTimeout", "800s", lambda: timeouts(lab)[0] == 800)
    change("ipvs.tcpFinTimeout", "90s", lambda: timeouts(lab)[1] == 90)
    change("ipvs.udpTimeout", "200s", lambda: timeouts(lab) == [800, 90, 200])
    change("ipvs.excludeCIDRs", ["198.51.100.0/24"],
           lambda: configz(lab, "ipvs.excludeCIDRs") == ["198.51.100.0/24"])
    change("ipvs.syncPeriod", "10s", lambda: configz(lab, "ipvs.syncPeriod") == "10s")
    change("ipvs.minSyncPeriod", "100ms", lambda: configz(lab, "ipvs.minSyncPeriod") == "100ms")
    change("iptables.masqueradeAll", True, lambda: "ip saddr != 127.0.0.0/8 masquerade" in part_of(lab, "cluster-ip"))
    change("iptables.masqueradeAll", False, lambda: "127.0.0.0/8" not in part_of(lab, "cluster-ip"))
    change("clusterCIDR", "10.244.0.0/16,fd00:244::/32",
           lambda: "ip saddr != 10.244.0.0/16 masquerade" in part_of(lab, "cluster-ip"))
    change("nodePortAddresses", ["203.0.113.1/32"], lambda: addresses_of(lab, 30080) == ["203.0.113.1"])
    change("nodePortAddresses", [], lambda: "203.0.113.3" in addresses_of(lab, 30080))
    change("conntrack.tcpEstablishedTimeout", "150h",
           lambda: host(lab, "netfilter/nf_conntrack_tcp_timeout_established") == "540000")
    change("conntrack.tcpCloseWaitTimeout", "2h",
           lambda: host(lab, "netfilter/nf_conntrack_tcp_timeout_close_wait") == "7200")
    change("conntrack.udpTimeout", "50s", lambda: host(lab, "netfilter/nf_conntrack_udp_timeout") == "50")
    change("conntrack.udpStreamTimeout", "200s",
           lambda: host(lab, "netfilter/nf_conntrack_udp_timeout_stream") == "200")
    change("conntrack.tcpBeLiberal", True, lambda: host(lab, "netfilter/nf_conntrack_tcp_be_liberal") == "1")
    change("conntrack.min", 200000, lambda: configz(lab, "conntrack.min") == 200000)
    change("conntrack.maxPerCore", 16384, lambda: configz(lab, "conntrack.maxPerCore") == 16384)
    change("oomScoreAdj", 500, lambda: score_of(pid) == 500)
    change("healthzBindAddress", "0.0.0.0:10257", lambda: answers(lab, "http://203.0.113.1:10257/healthz"))
    assert lab.node.refused("http://203.0.113.1:10256/healthz")
    change("metricsBindAddress", "0.0.0.0:10249", lambda: answers(lab, "http://203.0.113.1:10249/metrics"))
    change("bindAddressHardFail", True, lambda: configz(lab, "bindAddressHardFail") is True)
    change("logging", {"verbosity": 2}, lambda: configz(lab, "logging.verbosity") == 2)
    change("logging", {"format": "json"}, lambda: lab.agent.log_text().splitlines()[-1].startswith("{"))
    more_requests(lab, 20)
    assert lab.processes["agent"] == pid
    os.kill(pid, 0)
    loads = no_load_failed(lab, "pod", "host", "outside", "long", "second")
    show(f"{reloads(lab, 'applied'):.0f} changes,", sum(load["total"] for load in loads), "answers, 0 failed, slowest",
         max(load["slowest_ms"] for load in loads), "ms")


def case_each_setting_of_our_own_kind_changes_live_by_a_plain_write_and_no_request_fails(lab):
    settings = use(lab, OURS, "write")
    start_loads(lab)
    more_requests(lab, 20)
    settings.change(settings.write, "vipBinding", "route", lambda: not lab.has_address(VIP))
    assert VIP in lab.node.run("ip", "route", "show", "table", "local", "dev", "kube-ipvs0")
    more_requests(lab, 20)
    settings.change(settings.rename, "vipBinding", "address", lambda: lab.has_address(VIP))
    settings.change(settings.write, "compat", "kube-proxy", lambda: lab.agent.logged("compat: none -> kube-proxy"))
    settings.change(settings.rename, "forwardAccept", True, lambda: own(lab, "forwardAccept") is True)
    settings.change(settings.write, "reserveNodePorts", True,
                    lambda: "30000-32767" in host(lab, "ipv4/ip_local_reserved_ports"))
    more_requests(lab, 20)
    no_load_failed(lab, "pod", "host", "outside", "long")


def case_a_bad_file_is_refused_and_told_and_the_old_one_stays_in_force(lab):
    settings = use(lab, OURS, "write")
    settings.change(settings.write, "ipvs.scheduler", "lc", lambda: f"{VIP}:80 lc" in lab.ipvs_table())
    lab["pod-1"].start_load("pod", "requests", VIP, 80, workers=2)
    good = settings.text()
    for way, text, why in (
            (settings.write, good.replace('"lc"', '"quick"'), r"config.yaml:1:\d+: ipvs.scheduler: .*quick.* is not"),
            (settings.rename, "kind: [", r"config.yaml:\d+:\d+: "),
            (settings.write, "", "is empty"),
            (settings.rename, "x" * 10_000_000, "longer than 1048576 bytes"),
            (settings.write, good.replace('"lc"', '"lc", "tcpTimeout": "soon"'), "ipvs.tcpTimeout: .*soon")):
        before = reloads(lab, "refused")
        way(text)
        wait_until(f"a file is refused: {why}", 20, lambda count=before: reloads(lab, "refused") > count)
        line = f"refused, and the settings in force stay: .*{why}"
        wait_until(f"it is refused: {why}", 20, lambda said=line: lab.agent.logged(said))
        assert lab.agent.metric("kube_ipvs_config_last_reload_successful") == 0
        assert '"field":"config"' in lab.node.get("http://127.0.0.1:10249/conditions")
    os.remove(settings.path)
    wait_until("its loss is reported", 20, lambda: lab.agent.logged("No such file or directory"))
    assert reloads(lab, "refused") >= 6
    assert f"{VIP}:80 lc" in lab.ipvs_table()
    assert configz(lab, "ipvs.scheduler") == "lc"
    settings.write(good.replace('"lc"', '"wlc"'))
    wait_until("the good file is in force", 20, lambda: f"{VIP}:80 wlc" in lab.ipvs_table())
    assert lab.agent.metric("kube_ipvs_config_last_reload_successful") == 1
    no_load_failed(lab, "pod")


def case_what_needs_a_restart_is_told_and_sighup_reads_the_file_again(lab):
    settings = use(lab, OURS, "write")
    pid = lab.processes["agent"]
    settings.change(settings.rename, "takeover", "off",
                    lambda: lab.agent.metric("kube_ipvs_config_restart_needed") == 1)
    assert lab.agent.logged("needs a restart to take effect: takeover: auto -> off")
    os.kill(pid, signal.SIGHUP)
    wait_until("it says what it read", 20, lambda: lab.agent.logged("read again: what is in force is what it says"))
    holds_for(1, lambda: answers(lab, "http://127.0.0.1:10249/healthz"))
    pages = {page: lab.node.get(f"http://127.0.0.1:10249/{page}") for page in ("flagz", "statusz")}
    assert "\ntakeover=auto\n" in pages["flagz"]
    assert "\nkube-ipvs statusz\n" in pages["statusz"]
    lab.agent.stop()
