// SPDX-License-Identifier: Apache-2.0
//
// Sources for kube-proxy: pkg/proxy/ipvs/proxier.go, graceful_termination.go, pkg/proxy/topology.go,
// cmd/kube-proxy/app/conntrack.go and server_linux.go, in 1.36.
#include "config/policies.hpp"

#include <array>

namespace config {
namespace {

constexpr std::array kPolicies{
    Policy{.what = "externalTrafficPolicy Local without an endpoint here",
           .kube_proxy = "all endpoints, with the client's address kept: replies of other nodes' "
                         "Pods do not come back this way",
           .ours = "clients outside get no answer, as in kube-proxy's other modes",
           .compat = true},
    Policy{
        .what = "clients in the cluster of externalTrafficPolicy Local",
        .kube_proxy = "the endpoints on this node",
        .ours = "all endpoints, by a short cut to the cluster IP, as in kube-proxy's other modes",
        .compat = true},
    Policy{.what = "internalTrafficPolicy Local without an endpoint here",
           .kube_proxy = "all endpoints, if the Service has a node port or an external address",
           .ours = "connections are refused",
           .compat = true},
    Policy{.what = "TCP connections to an endpoint that is gone",
           .kube_proxy = "may continue until they end, however long that is, also if the Pod is "
                         "gone",
           .ours = "may continue for the Pod's grace period, or its Service's drain timeout",
           .compat = true},
    Policy{.what = "FORWARD chains that drop",
           .kube_proxy = "get a rule that accepts what it masquerades, and replies",
           .ours = "are reported; --forward-accept adds such a rule",
           .compat = true},
    Policy{.what = "an external IP that is a Node's, a gateway's or the API server's",
           .kube_proxy = "is bound, and cuts this node off from that host",
           .ours = "is not served; the Service gets an Event"},
    Policy{.what = "virtual servers of others",
           .kube_proxy = "are deleted outside --ipvs-exclude-cidrs",
           .ours = "are left alone, and reported where a Service wants their place"},
    Policy{.what = "hash schedulers (sh, mh) while an endpoint drains",
           .kube_proxy = "refuse the clients that hash to it",
           .ours = "give them another endpoint; the annotation kube-ipvs.io/scheduler-flags says "
                   "otherwise"},
    Policy{.what = "connection tracking's limits and timeouts",
           .kube_proxy = "are set, also to less than the host has",
           .ours = "are raised only"},
    Policy{.what = "sysctls that were changed",
           .kube_proxy = "stay",
           .ours = "are restored by cleanup, and those for strict ARP by a start without it"},
    Policy{.what = "--cleanup",
           .kube_proxy = "deletes every virtual server of the host",
           .ours = "deletes what kube-ipvs made"},
    Policy{.what = "the minimum time between two updates, by flags",
           .kube_proxy = "is 1s",
           .ours = "is 0s: at once"},
    Policy{.what = "with NodeCIDR, the Pod networks of the Node change",
           .kube_proxy = "ends the process",
           .ours = "is followed"},
    Policy{.what = "node ports on loopback addresses",
           .kube_proxy = "are never served",
           .ours = "are served for TCP with --nodeport-addresses=localhost, as in 1.37's nftables "
                   "mode"},
    Policy{.what = "a changed file of --config",
           .kube_proxy = "ends the process, which then starts with it, if it can",
           .ours = "is applied live where it can be; one with a fault is refused, and the old one "
                   "stays in force"},
    Policy{.what = "an unknown scheduler",
           .kube_proxy = "ends the process after it has tried it",
           .ours = "is refused with the names of those that exist"},
    Policy{.what = "the Event IPVSDeprecation about the Node",
           .kube_proxy = "is written at each start in ipvs mode",
           .ours = "is not written: IPVS is what kube-ipvs is for"},
    Policy{.what = "a port for metrics or health that another process has",
           .kube_proxy = "has an Event only with --bind-address-hard-fail, as the process ends",
           .ours =
               "has the same Event (FailedToStartMetricServer, FailedToStartProxierHealthcheck) "
               "when that is noticed"},
    Policy{.what = "--profiling",
           .kube_proxy = "adds Go's profiler and /debug/flags/v to the metrics port",
           .ours = "adds /debug/flags/v"},
    Policy{.what = "--vmodule",
           .kube_proxy = "names Go files, and needs --logging-format=text",
           .ours = "names files of kube-ipvs, in both formats"},
    Policy{.what = "--version=vX.Y.Z",
           .kube_proxy = "is the version that it reports",
           .ours = "is ignored with a warning"},
    Policy{.what = "a proxy mode other than ipvs",
           .kube_proxy = "is that mode",
           .ours = "is IPVS all the same, with a warning"},
};

}  // namespace

std::span<const Policy> policies() { return kPolicies; }

std::string policies_line() {
  std::string names;
  for (const Policy& policy : kPolicies) {
    if (!policy.compat) continue;
    names += (names.empty() ? "" : "; ") + std::string(policy.what);
  }
  return "kube-ipvs decides otherwise than kube-proxy about: " + names +
         " (config/kube-proxy.md); --compat=kube-proxy decides as kube-proxy";
}

}  // namespace config
