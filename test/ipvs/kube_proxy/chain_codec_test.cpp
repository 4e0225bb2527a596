// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/chain_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <catch2/catch_test_macros.hpp>
#include <span>
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

}  // namespace

TEST_CASE("a rule of iptables-nft is read as the kernel sends it, byte for byte") {
  // -A KUBE-S -m set --match-set A dst -j KUBE-M, handle 9, of 6.1.
  static constexpr unsigned char kRule[] = {
      2,   0, 0, 0,                                               // nfgenmsg
      8,   0, 1, 0,    'n',  'a',  't',  0,                       // NFTA_RULE_TABLE
      11,  0, 2, 0,    'K',  'U',  'B',  'E',  '-', 'S', 0,   0,  // NFTA_RULE_CHAIN
      12,  0, 3, 0,    0,    0,    0,    0,    0,   0,   0,   9,  // NFTA_RULE_HANDLE
      112, 0, 4, 0x80,                                            // NFTA_RULE_EXPRESSIONS
      44,  0, 1, 0x80,                                            // NFTA_LIST_ELEM
      10,  0, 1, 0,    'm',  'a',  't',  'c',  'h', 0,   0,   0,  // NFTA_EXPR_NAME
      28,  0, 2, 0x80,                                            // NFTA_EXPR_DATA
      8,   0, 1, 0,    's',  'e',  't',  0,                       // NFTA_MATCH_NAME
      8,   0, 2, 0,    0,    0,    0,    4,                       // NFTA_MATCH_REV
      8,   0, 3, 0,    1,    2,    3,    4,                       // NFTA_MATCH_INFO
      64,  0, 1, 0x80,                                            // NFTA_LIST_ELEM
      14,  0, 1, 0,    'i',  'm',  'm',  'e',  'd', 'i', 'a', 't',
      'e', 0, 0, 0,    44,   0,    2,    0x80,                    // NFTA_EXPR_DATA
      8,   0, 1, 0,    0,    0,    0,    0,                       // NFTA_IMMEDIATE_DREG
      32,  0, 2, 0x80,                                            // NFTA_IMMEDIATE_DATA
      28,  0, 2, 0x80,                                            // NFTA_DATA_VERDICT
      8,   0, 1, 0,    0xff, 0xff, 0xff, 0xfd,                    // NFTA_VERDICT_CODE: jump
      11,  0, 2, 0,    'K',  'U',  'B',  'E',  '-', 'M', 0,   0,  // NFTA_VERDICT_CHAIN
      8,   0, 3, 0,    0,    0,    0,    0};
  const Bytes bytes = std::as_bytes(std::span(kRule));
  CHECK(decode_table_rule(bytes) ==
        TableRule{.chain = "KUBE-S", .target = "KUBE-M", .uses_set = true, .handle = 9});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    (void)decode_table_rule(bytes.first(size));
  }
}

TEST_CASE("a rule that leads to a chain is read; any cut of it is harmless (C2)") {
  MessageBatch batch = rule_with_jump("INPUT", 7, "KUBE-IPVS-FILTER");
  const Bytes bytes = payload_of(batch, 0);
  CHECK(decode_table_rule(bytes) ==
        TableRule{.chain = "INPUT", .target = "KUBE-IPVS-FILTER", .handle = 7});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    (void)decode_table_rule(bytes.first(size));
  MessageBatch verdict = rule_with_jump("INPUT", 7, "");
  CHECK(decode_table_rule(payload_of(verdict, 0)) == TableRule{.chain = "INPUT", .handle = 7});
}

TEST_CASE("chains are deleted after the rules that lead to them, and nothing else is (C2)") {
  const KubeProxyChains chains{
      .family = NFPROTO_IPV4, .table = "nat", .names = {"KUBE-NODE-PORT", "KUBE-SERVICES"}};
  const TableRule rules[] = {{.chain = "PREROUTING", .target = "KUBE-SERVICES", .handle = 3},
                             {.chain = "PREROUTING", .target = "DOCKER", .handle = 4},
                             {.chain = "KUBE-SERVICES", .target = "KUBE-NODE-PORT", .handle = 5}};
  MessageBatch batch = encode_remove_chains(chains, plan_removal(chains, rules));
  std::vector<int> commands;
  for (std::size_t i = 1; i + 1 < batch.size(); ++i)
    commands.push_back(batch.message_type(i) & 255);
  CHECK(commands == std::vector<int>{NFT_MSG_DELRULE, NFT_MSG_DELRULE, NFT_MSG_DELRULE,
                                     NFT_MSG_DELCHAIN, NFT_MSG_DELCHAIN});
  MessageBatch table = encode_remove_chains(
      {.family = NFPROTO_IPV4, .table = "kube-proxy", .names = {"services"}}, {});
  CHECK((table.message_type(1) & 255) == NFT_MSG_DELTABLE);
}
