// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/event_table.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ipvs/nftables/decode.hpp"
#include "ipvs/nftables/forward_codec.hpp"
#include "test/ipvs/hex.hpp"

using namespace ipvs;
using ipvs::test::hex;

namespace {

constexpr const char* kName = "kube-ipvs-observe-7";

ServerKey server(const char* address, std::uint16_t port, Protocol protocol = Protocol::kTcp) {
  return {boost::asio::ip::make_address(address), port, protocol};
}

std::vector<int> commands_of(const MessageBatch& batch) {
  std::vector<int> commands;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::uint16_t type = batch.message_type(i);
    commands.push_back(NFNL_SUBSYS_ID(type) == NFNL_SUBSYS_NFTABLES ? NFNL_MSG_TYPE(type) : -1);
  }
  return commands;
}

}  // namespace

TEST_CASE("the table for events is owned by its socket, and has a rule for each virtual server",
          "[nft]") {
  const std::vector servers{server("10.96.0.1", 80), server("fd00:1::1", 53, Protocol::kUdp)};
  MessageBatch batch = encode_event_table(kName, servers, false, false);
  CHECK(commands_of(batch) == std::vector<int>{-1, NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN,
                                               NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWRULE,
                                               NFT_MSG_NEWRULE, NFT_MSG_NEWRULE, -1});
  std::optional<std::uint32_t> flags;
  for (AttributeReader reader(batch.message_bytes(1).subspan(sizeof(nlmsghdr)), sizeof(nfgenmsg));
       const auto attribute = reader.next();) {
    if (attribute->type == NFTA_TABLE_NAME) CHECK(attribute->string() == kName);
    if (attribute->type == NFTA_TABLE_FLAGS) flags = attribute->be32();
  }
  CHECK(flags == NFT_TABLE_F_OWNER);
}

TEST_CASE("the rule sets the mask of events as `nft` would", "[nft]") {
  MessageBatch batch =
      encode_event_table(kName, std::vector{server("10.96.0.1", 80)}, false, false);
  const std::string rule = hex(batch.message_bytes(4));
  CAPTURE(rule);
  CHECK(rule.find("696d6d656469617465") != std::string::npos);
  // new | destroy | protoinfo, in host order
  CHECK(rule.find("0800010025000000") != std::string::npos);
  // NFTA_CT_KEY: NFT_CT_EVENTMASK; NFTA_CT_SREG: register 1
  const std::string set_event = "08000200000000120800040000000001";
  CHECK(rule.find(set_event) != std::string::npos);
}

TEST_CASE("with silence, new connections to anything else get no events", "[nft]") {
  const std::vector servers{server("10.96.0.1", 80)};
  MessageBatch batch = encode_event_table(kName, servers, true, true);
  CHECK(commands_of(batch) ==
        std::vector<int>{-1, NFT_MSG_DELTABLE, NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWCHAIN,
                         NFT_MSG_NEWRULE, NFT_MSG_NEWRULE, NFT_MSG_NEWRULE, NFT_MSG_NEWRULE, -1});
  CHECK(hex(batch.message_bytes(6)).find("0800010000000000") != std::string::npos);
}

TEST_CASE("neither our monitor nor the forward guard takes the table for events for its own",
          "[nft]") {
  MessageBatch batch = encode_event_table(kName, std::vector{server("10.96.0.1", 80)}, true, true);
  for (std::size_t i = 1; i + 1 < batch.size(); ++i) {
    const Bytes payload = batch.message_bytes(i).subspan(sizeof(nlmsghdr));
    CHECK_FALSE(concerns_our_table(batch.message_type(i), payload));
    CHECK_FALSE(concerns_forwarding(batch.message_type(i), payload));
  }
}
