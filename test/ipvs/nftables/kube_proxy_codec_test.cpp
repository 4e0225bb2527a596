// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/kube_proxy_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "ipvs/nftables/message.hpp"

using namespace ipvs;

namespace {

Bytes payload_of(MessageBatch& batch, std::size_t index) {
  return batch.message_bytes(index).subspan(sizeof(nlmsghdr));
}

// `jump TARGET`, after an expression that is none.
MessageBatch rule_with_jump(const std::string& chain, std::uint64_t handle,
                            const std::string& target) {
  MessageBatch batch;
  begin_nft_message(batch, NFPROTO_IPV4, NFT_MSG_NEWRULE, 0);
  batch.put_string(NFTA_RULE_CHAIN, chain);
  batch.put_be64(NFTA_RULE_HANDLE, handle);
  const auto list = batch.begin_nest(NFTA_RULE_EXPRESSIONS);
  auto element = batch.begin_nest(NFTA_LIST_ELEM);
  batch.put_string(NFTA_EXPR_NAME, "counter");
  batch.end_nest(element);
  element = batch.begin_nest(NFTA_LIST_ELEM);
  batch.put_string(NFTA_EXPR_NAME, "immediate");
  const auto expression = batch.begin_nest(NFTA_EXPR_DATA);
  const auto data = batch.begin_nest(NFTA_IMMEDIATE_DATA);
  const auto verdict = batch.begin_nest(NFTA_DATA_VERDICT);
  batch.put_be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(NFT_JUMP));
  if (!target.empty()) batch.put_string(NFTA_VERDICT_CHAIN, target);
  for (const auto nest : {verdict, data, expression, element, list}) batch.end_nest(nest);
  return batch;
}

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
                           "KUBE-ROUTER-INPUT", "cali-INPUT", "KUBE-POSTROUTING", ""}) {
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

TEST_CASE("a rule that leads to a chain is read; any cut of it is harmless (C2)") {
  MessageBatch batch = rule_with_jump("INPUT", 7, "KUBE-IPVS-FILTER");
  const Bytes bytes = payload_of(batch, 0);
  const auto jump = decode_jump(bytes);
  REQUIRE(jump);
  CHECK(jump->chain == "INPUT");
  CHECK(jump->handle == 7);
  CHECK(jump->target == "KUBE-IPVS-FILTER");
  for (std::size_t size = 0; size < bytes.size(); ++size) (void)decode_jump(bytes.first(size));
  MessageBatch verdict = rule_with_jump("INPUT", 7, "");
  CHECK_FALSE(decode_jump(payload_of(verdict, 0)));
}

TEST_CASE("chains are deleted after the rules that lead to them, and nothing else is (C2)") {
  const KubeProxyChains chains{
      .family = NFPROTO_IPV4, .table = "nat", .names = {"KUBE-NODE-PORT", "KUBE-SERVICES"}};
  const JumpRule jumps[] = {{"PREROUTING", 3, "KUBE-SERVICES"},
                            {"PREROUTING", 4, "DOCKER"},
                            {"KUBE-SERVICES", 5, "KUBE-NODE-PORT"}};
  MessageBatch batch = encode_remove_chains(chains, jumps);
  std::vector<int> commands;
  for (std::size_t i = 1; i + 1 < batch.size(); ++i)
    commands.push_back(batch.message_type(i) & 255);
  CHECK(commands == std::vector<int>{NFT_MSG_DELRULE, NFT_MSG_DELRULE, NFT_MSG_DELRULE,
                                     NFT_MSG_DELCHAIN, NFT_MSG_DELCHAIN});
  MessageBatch table = encode_remove_chains(
      {.family = NFPROTO_IPV4, .table = "kube-proxy", .names = {"services"}}, {});
  CHECK((table.message_type(1) & 255) == NFT_MSG_DELTABLE);
}
