# SPDX-License-Identifier: Apache-2.0
#
# The forms of `kube-ipvs plan`: what ipvsadm, nft and ip make of its text is what the agent makes.
import json
import os
import re
import shutil
import subprocess

from agent import CLUSTER_CIDR, CLUSTER_IPS
from objects import affinity, dual_stack, load_balancer, pod, service

V1 = {"set": "v1"}
FLAGS = (*CLUSTER_IPS, *CLUSTER_CIDR)
ALL_PORTS = [{"name": "tcp", "port": 80}, {"name": "udp", "port": 53, "protocol": "UDP"},
             {"name": "sctp", "port": 132, "protocol": "SCTP"}]
# As user 65534, without any capability.
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--inh-caps=-all",
                "--bounding-set=-all")


def group_up(lab):
    # Read by user 65534, too.
    os.chmod(lab.directory, 0o755)
    lab.agent.program = shutil.copy(lab.agent.program, lab.directory)
    lab.write("pods.yaml", pod("pod-1", 11, ready=True),
              pod("pod-2", 12, ready=True, annotations={"kube-ipvs.io/weight": "5"}),
              pod("pod-3", "2.13", ready=True), pod("pod-4", 14, ready=False))
    lab.write_common_services()
    lab.write(
        "features.yaml",
        service("all-ports", "10.96.20.1", V1, ports=ALL_PORTS, **dual_stack("10.96.20.1", "fd00:10:96::201")),
        service("affine", "10.96.20.2", V1, type="NodePort", ports=[{"port": 80, "nodePort": 30201}], **affinity(1234),
                **dual_stack("10.96.20.2", "fd00:10:96::202")),
        service("hashed", "10.96.20.3", V1, annotations={"kube-ipvs.io/scheduler": "sh",
                                                         "kube-ipvs.io/scheduler-flags": "fallback,port"}),
        service("maglev", "10.96.20.4", V1, annotations={"kube-ipvs.io/scheduler": "mh"}),
        service("outside", "10.96.20.5", V1, externalIPs=["192.0.2.50", "2001:db8::50"],
                **dual_stack("10.96.20.5", "fd00:10:96::205")),
        load_balancer("limited", "10.96.20.6", V1, ["192.0.2.60"], ports=[{"port": 443, "nodePort": 30206}],
                      loadBalancerSourceRanges=["203.0.113.0/24", "198.51.100.7/32"]),
        load_balancer("open", "10.96.20.7", V1, ["192.0.2.70"], ports=[{"port": 443, "nodePort": 30207}],
                      loadBalancerSourceRanges=["0.0.0.0/0"]),
        load_balancer("limited-6", "10.96.20.12", V1, ["192.0.2.120", "2001:db8::120"],
                      ports=[{"port": 443, "nodePort": 30212}],
                      loadBalancerSourceRanges=["203.0.113.0/24", "2001:db8:1::/48", "2001:db8:2::7/128"],
                      **dual_stack("10.96.20.12", "fd00:10:96::212")),
        load_balancer("local", "10.96.20.8", V1, ["192.0.2.80"], externalTrafficPolicy="Local",
                      ports=[{"port": 443, "nodePort": 30208}], healthCheckNodePort=30299,
                      **dual_stack("10.96.20.8", "fd00:10:96::208")),
        service("inside", "10.96.20.9", V1, internalTrafficPolicy="Local"),
        service("empty", "10.96.20.10", {"set": "none"}, type="NodePort", ports=[{"port": 80, "nodePort": 30210}]),
        service("elsewhere", "10.96.20.11", {"pod": "pod-3"}, type="NodePort", externalTrafficPolicy="Local",
                ports=[{"port": 80, "nodePort": 30211}]))


def run_plan(lab, *flags, prefix=(), code=0):
    with lab.node.namespace:
        ended = subprocess.run([*prefix, lab.agent.program, "plan", "--manifests", lab.manifests, "--hostname-override",
                                "node", *flags], text=True, capture_output=True, timeout=120)
    assert ended.returncode == code, ended
    return ended


def feed(lab, text, *command):
    with lab.node.namespace:
        ended = subprocess.run(command, input=text, text=True, capture_output=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, ""), (command, ended, text)


def table_of(lab):
    """The table as nft prints it, the elements of each set in order."""
    text = lab.node.run("nft", "list", "table", "inet", "kube-ipvs")

    def ordered(match):
        return "elements = { " + ", ".join(sorted(re.split(r",\s+", match[1].strip()))) + " }"
    return re.sub(r"elements = \{([^}]*)\}", ordered, text)


def local_routes(lab, family):
    """To kube-ipvs0, without their MTU, which the agent takes from the node's interface."""
    lines = lab.node.run("ip", family, "route", "show", "table", "local", "dev", "kube-ipvs0").splitlines()
    return [re.sub(r" mtu \d+", "", line) for line in lines]


def kernel(lab):
    """What the kernel holds: virtual servers, table, and what makes virtual IPs local."""
    addresses = json.loads(lab.node.run("ip", "-json", "address", "show", "kube-ipvs0"))[0]
    link = json.loads(lab.node.run("ip", "-json", "-details", "link", "show", "kube-ipvs0"))[0]
    return {"servers": sorted(lab.node.run("ipvsadm", "-S", "-n").splitlines()),
            "table": table_of(lab).splitlines(),
            "link": [link["flags"], link["inet6_addr_gen_mode"], link["linkinfo"]["info_kind"]],
            "addresses": sorted(json.dumps(each, sort_keys=True) for each in addresses["addr_info"]),
            "routes": sorted(local_routes(lab, "-4") + local_routes(lab, "-6"))}


def same_by_text(lab, *flags):
    lab.agent.restart(*flags)
    made = kernel(lab)
    assert len(made["servers"]) > 60, made["servers"]
    lab.agent.stop()
    lab.agent.cleanup()
    assert not lab.virtual_servers() and not lab.has_device()
    texts = {form: run_plan(lab, "-o", form, *flags) for form in ("ipvsadm", "nft", "ip")}
    assert all("left out" not in each.stderr for each in texts.values()), texts
    feed(lab, texts["ip"].stdout, "ip", "-batch", "-")
    feed(lab, texts["nft"].stdout, "nft", "-f", "-")
    feed(lab, texts["ipvsadm"].stdout, "ipvsadm", "-R")
    again = kernel(lab)
    for part, expected in made.items():
        assert again[part] == expected, (part, "by text only", [x for x in again[part] if x not in expected],
                                         "by the agent only", [x for x in expected if x not in again[part]])
    # The table says that the virtual servers are ours.
    assert run_plan(lab, "-o", "diff", *flags).stdout == "no difference\n"
    # A second time, in place of what is there.
    feed(lab, texts["nft"].stdout, "nft", "-f", "-")
    assert table_of(lab).splitlines() == made["table"]
    lab.agent.restart(*flags)
    assert kernel(lab) == made
    lab.agent.stop()
    lab.agent.cleanup()


def case_ipvsadm_nft_and_ip_make_of_a_plan_what_the_agent_makes(lab):
    same_by_text(lab, *FLAGS)


def case_ipvsadm_nft_and_ip_make_of_a_plan_with_routes_and_other_flags_what_the_agent_makes(lab):
    same_by_text(lab, *CLUSTER_IPS, "--vip-binding", "route", "--bind-address", "203.0.113.1", "--ipvs-scheduler", "wlc",
                 "--masquerade-all", "--nodeport-addresses", "203.0.113.3/32")


def case_ipvsadm_nft_and_ip_make_of_a_plan_by_interface_what_the_agent_makes(lab):
    same_by_text(lab, *CLUSTER_IPS, "--detect-local-mode", "InterfaceNamePrefix", "--pod-interface-name-prefix", "pod")


def loaded_modules():
    with open("/proc/modules", encoding="ascii") as file:
        return {line.split()[0] for line in file}


def case_a_plan_needs_no_rights_and_changes_nothing(lab):
    modules = loaded_modules()
    for form in ("summary", "ipvsadm", "nft", "ip", "json"):
        privileged = run_plan(lab, "-o", form, *FLAGS)
        unprivileged = run_plan(lab, "-o", form, *FLAGS, prefix=UNPRIVILEGED)
        assert privileged.stdout == unprivileged.stdout, form
        for ended in (privileged, unprivileged):
            assert ended.stderr.endswith("for node node with the addresses 203.0.113.1, 203.0.113.3, fd00:203::1 "
                                         "(of this host; --node-addresses gives others)\n"), ended.stderr
    assert not lab.has_device() and not lab.virtual_servers()
    assert "kube-ipvs" not in lab.node.run("nft", "list", "tables")
    assert loaded_modules() == modules


def case_two_plans_are_compared_without_a_kernel(lab):
    saved = f"{lab.directory}/saved.json"
    with open(saved, "w", encoding="utf-8") as file:
        file.write(run_plan(lab, "-o", "json", *FLAGS).stdout)
    assert run_plan(lab, *FLAGS, "--compare-with", saved).stdout == "no difference\n"
    lines = run_plan(lab, *FLAGS, "--ipvs-scheduler", "lc", "--compare-with", saved, code=1).stdout.splitlines()
    at = lines.index("TCP 10.96.1.1:80 (Service default/cluster)")
    assert lines[at + 1] == "  scheduler rr -> lc", lines
    other = f"{lab.directory}/proxy.conf"
    with open(other, "w", encoding="utf-8") as file:
        file.write("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n"
                   "clusterCIDR: 10.244.0.0/16,fd00:244::/32\nclientConnection: {kubeconfig: /nowhere}\n")
    lines = run_plan(lab, *FLAGS, "--masquerade-all", "--compare-with", other, code=1).stdout.splitlines()
    assert "nftables: chain cluster-ip: ip saddr != 127.0.0.0/8 masquerade fully-random added" in lines, lines
    assert not any(line.startswith("TCP") for line in lines), lines
