// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/forward_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "ipvs/nftables/message.hpp"

using namespace ipvs;

namespace {

struct ChainText {
  std::uint8_t family = NFPROTO_IPV4;
  std::string table = "filter";
  std::string name = "FORWARD";
  std::string type = "filter";
  std::uint32_t hook = NF_INET_FORWARD;
  std::uint32_t policy = NF_DROP;
};

MessageBatch new_chain(const ChainText& text) {
  MessageBatch batch;
  begin_nft_message(batch, text.family, NFT_MSG_NEWCHAIN, 0);
  batch.put_string(NFTA_CHAIN_TABLE, text.table);
  batch.put_string(NFTA_CHAIN_NAME, text.name);
  batch.put_string(NFTA_CHAIN_TYPE, text.type);
  const std::size_t hook = batch.begin_nest(NFTA_CHAIN_HOOK);
  batch.put_be32(NFTA_HOOK_HOOKNUM, text.hook);
  batch.put_be32(NFTA_HOOK_PRIORITY, 0);
  batch.end_nest(hook);
  batch.put_be32(NFTA_CHAIN_POLICY, text.policy);
  return batch;
}

Bytes payload_of(MessageBatch& batch, std::size_t index) {
  return batch.message_bytes(index).subspan(sizeof(nlmsghdr));
}

std::optional<ForwardChain> decoded(const ChainText& text) {
  MessageBatch batch = new_chain(text);
  return decode_forward_chain(payload_of(batch, 0));
}

bool concerns(MessageBatch batch, std::size_t index = 0) {
  return concerns_forwarding(batch.message_type(index), payload_of(batch, index));
}

}  // namespace

TEST_CASE("a forward chain is read with its policy", "[nft]") {
  const auto chain = decoded({});
  REQUIRE(chain);
  CHECK(chain->text() == "ip filter FORWARD");
  CHECK(chain->drops);
  CHECK_FALSE(decoded({.policy = NF_ACCEPT})->drops);
  CHECK(decoded({.family = NFPROTO_IPV6})->text() == "ip6 filter FORWARD");
  CHECK(decoded({.family = NFPROTO_INET, .table = "fw", .name = "f"})->text() == "inet fw f");
}

TEST_CASE("chains that do not filter forwarded packets are ignored", "[nft]") {
  CHECK_FALSE(decoded({.hook = NF_INET_LOCAL_IN}));
  CHECK_FALSE(decoded({.type = "nat"}));
  CHECK_FALSE(decoded({.family = NFPROTO_BRIDGE}));
  CHECK_FALSE(decoded({.family = NFPROTO_INET, .table = "kube-ipvs"}));
}

TEST_CASE("our rule is recognised and the rules of others are not", "[nft]") {
  MessageBatch sent = encode_accept_replies(*decoded({}));
  REQUIRE(sent.size() == 3);
  // As the kernel sends it: with a handle.
  const auto told_of = [](Bytes user_data) {
    MessageBatch told;
    begin_nft_message(told, NFPROTO_IPV4, NFT_MSG_DELRULE, 0);
    told.put_be64(NFTA_RULE_HANDLE, 7);
    told.put_bytes(NFTA_RULE_USERDATA, user_data);
    return told;
  };
  bool commented = false;
  for (AttributeReader reader(payload_of(sent, 1), sizeof(nfgenmsg));
       const auto a = reader.next();) {
    if (a->type != NFTA_RULE_USERDATA) continue;
    commented = true;
    MessageBatch told = told_of(a->payload);
    CHECK(decode_our_rule(payload_of(told, 0)) == 7);
    CHECK(concerns(told));
  }
  CHECK(commented);
  MessageBatch foreign = told_of(std::as_bytes(std::span("\0\7others")));
  CHECK_FALSE(decode_our_rule(payload_of(foreign, 0)));
  CHECK_FALSE(concerns(foreign));
}

TEST_CASE("new forward chains, their policies and the deletion of our rule concern forwarding",
          "[nft]") {
  CHECK(concerns(new_chain({})));
  CHECK_FALSE(concerns(new_chain({.hook = NF_INET_LOCAL_OUT})));
  MessageBatch foreign;
  begin_nft_message(foreign, NFPROTO_IPV4, NFT_MSG_DELRULE, 0);
  foreign.put_be64(NFTA_RULE_HANDLE, 7);
  CHECK_FALSE(concerns(foreign));
  CHECK(concerns_forwarding(NFNL_SUBSYS_CTNETLINK << 8 | NFT_MSG_NEWCHAIN,
                            payload_of(foreign, 0)) == false);
}

TEST_CASE("our rules are deleted by their handles", "[nft]") {
  MessageBatch batch = encode_withdraw(
      {.family = NFPROTO_IPV4, .table = "filter", .name = "FORWARD", .our_rules = {3, 9}});
  REQUIRE(batch.size() == 4);
  CHECK(NFNL_MSG_TYPE(batch.message_type(1)) == NFT_MSG_DELRULE);
  CHECK(NFNL_MSG_TYPE(batch.message_type(2)) == NFT_MSG_DELRULE);
}

TEST_CASE("the forward codec decodes any bytes without a crash", "[nft]") {
  REQUIRE(rc::check("any bytes", [](const std::vector<std::uint8_t>& any) {
    const Bytes bytes = std::as_bytes(std::span(any));
    decode_forward_chain(bytes);
    decode_our_rule(bytes);
    concerns_forwarding(*rc::gen::arbitrary<std::uint16_t>(), bytes);
  }));
}
