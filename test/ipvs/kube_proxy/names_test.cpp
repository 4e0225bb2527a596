// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/names.hpp"

#include <linux/netfilter.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace ipvs;

namespace {

std::vector<std::string> texts(const std::vector<KubeProxyChains>& found) {
  std::vector<std::string> lines;
  for (const KubeProxyChains& chains : found) lines.push_back(chains.text());
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("kube-proxy's chains are told from the kubelet's and from those of others (C2)") {
  for (const char* name : {"KUBE-IPVS-FILTER", "KUBE-SERVICES", "KUBE-SVC-TCOU7JCQXEZGVUNU",
                           "KUBE-NODE-PORT", "KUBE-PROXY-CANARY"}) {
    INFO(name);
    CHECK(is_kube_proxy_chain(name));
  }
  for (const char* name : {"KUBE-KUBELET-CANARY", "KUBE-FIREWALL", "KUBE-IPTABLES-HINT", "INPUT",
                           "KUBE-ROUTER-INPUT", "KUBE-NWPLCY-DEFAULT", "KUBE-POD-FW-ABC",
                           "KUBE-MARK-DROP", "cali-INPUT", "KUBE-POSTROUTING", ""}) {
    INFO(name);
    CHECK_FALSE(is_kube_proxy_chain(name));
  }
}

TEST_CASE("chains that kube-proxy left are listed table by table (C2)") {
  const ChainName chains[] = {
      {NFPROTO_IPV4, "nat", "KUBE-SERVICES"},       {NFPROTO_IPV4, "nat", "KUBE-POSTROUTING"},
      {NFPROTO_IPV4, "filter", "KUBE-IPVS-FILTER"}, {NFPROTO_IPV4, "filter", "KUBE-FIREWALL"},
      {NFPROTO_IPV6, "nat", "KUBE-MARK-MASQ"},      {NFPROTO_IPV6, "kube-proxy", "services"},
      {NFPROTO_INET, "filter", "KUBE-SERVICES"}};
  CHECK(texts(kube_proxy_chains(chains, false)) == Lines{"ip filter: KUBE-IPVS-FILTER",
                                                         "ip nat: KUBE-POSTROUTING, KUBE-SERVICES",
                                                         "ip6 kube-proxy: services"});
  CHECK(texts(kube_proxy_chains(std::span(chains).first(1), true)) ==
        Lines{"iptables-legacy nat: KUBE-SERVICES"});
  CHECK(KubeProxyChains{.family = NFPROTO_IPV6,
                        .table = "nat",
                        .names = {"A", "B", "C", "D", "E", "F"},
                        .legacy = true}
            .text() == "ip6tables-legacy nat: A, B, C, D and 2 more");
}

TEST_CASE("KUBE-FIREWALL is kube-proxy's in the table nat only, and only beside others of it") {
  const ChainName chains[] = {{NFPROTO_IPV4, "nat", "KUBE-FIREWALL"},
                              {NFPROTO_IPV4, "nat", "KUBE-MARK-DROP"},
                              {NFPROTO_IPV4, "filter", "KUBE-FIREWALL"},
                              {NFPROTO_IPV4, "filter", "KUBE-FORWARD"},
                              {NFPROTO_IPV4, "nat", "KUBE-SERVICES"}};
  CHECK(texts(kube_proxy_chains(std::span(chains).first(3), false)).empty());
  CHECK(texts(kube_proxy_chains(chains, false)) ==
        Lines{"ip filter: KUBE-FORWARD", "ip nat: KUBE-FIREWALL, KUBE-SERVICES"});
}

TEST_CASE("an ipset is kube-proxy's by its whole name, in both families") {
  for (const char* name :
       {"KUBE-LOOP-BACK", "KUBE-CLUSTER-IP", "KUBE-IPVS-IPS", "KUBE-6-CLUSTER-IP",
        "KUBE-6-HEALTH-CHECK-NODE-PORT", "KUBE-LOAD-BALANCER-SOURCE-CIDR",
        // Cut at 31 characters.
        "KUBE-6-LOAD-BALANCER-SOURCE-CID", "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS"}) {
    INFO(name);
    CHECK(is_kube_proxy_set(name));
  }
  for (const char* name :
       {"KUBE-SRC-ABCDEF", "KUBE-DST-ABCDEF", "KUBE-6", "KUBE-", "KUBE-6-", "kube-router-local-ips",
        "inet6:KUBE-DST-ABC", "cali40all-hosts-net", "KUBE-CLUSTER-IP-OF-MINE", "KUBE-6-6-IPVS-IPS",
        "KUBE-6-LOAD-BALANCER-SOURCE-CIDR", "docker-ingress", ""}) {
    INFO(name);
    CHECK_FALSE(is_kube_proxy_set(name));
  }
}

TEST_CASE("the operator's command for iptables-legacy keeps the kubelet's chains") {
  const std::string command =
      legacy_command({.family = NFPROTO_IPV6, .table = "nat", .names = {}, .legacy = true});
  CHECK(command ==
        "ip6tables-legacy-save -t nat | grep -vE 'KUBE-(SERVICES\\b|EXTERNAL-SERVICES\\b|"
        "NODEPORTS\\b|NODE-PORT\\b|LOAD-BALANCER\\b|FORWARD\\b|PROXY-CANARY\\b|PROXY-FIREWALL\\b|"
        "IPVS-FILTER\\b|IPVS-OUT-FILTER\\b|SOURCE-RANGES-FIREWALL\\b|MARK-MASQ\\b|POSTROUTING\\b|"
        "SVC-|SVL-|SEP-|EXT-|XLB-|FW-)' | ip6tables-legacy-restore");
}
