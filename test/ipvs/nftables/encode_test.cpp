// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/encode.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>

#include "ipvs/nftables/decode.hpp"
#include "ipvs/nftables/rules.hpp"
#include "ipvs/nftables/table.hpp"
#include "test/ipvs/any_address.hpp"
#include "test/ipvs/hex.hpp"

using namespace ipvs;
using ipvs::test::any_address;
using ipvs::test::hex;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

std::vector<std::uint16_t> types_of(const MessageBatch& batch) {
  std::vector<std::uint16_t> types;
  for (std::size_t i = 0; i < batch.size(); ++i) types.push_back(batch.message_type(i));
  return types;
}

constexpr std::uint16_t type_of(int command) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | command);
}

Bytes payload_of(MessageBatch& batch, std::size_t index) {
  return batch.message_bytes(index).subspan(sizeof(nlmsghdr));
}

// The elements in the messages of a batch; a dump of the kernel has the same form.
std::vector<Element> elements_of(MessageBatch& batch, int command) {
  std::vector<Element> elements;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch.message_type(i) == type_of(command)) decode_elements(payload_of(batch, i), elements);
  }
  return elements;
}

Element any_element() {
  using enum ElementKind;
  using enum TrafficClass;
  Element element{.kind =
                      *rc::gen::element(kServiceIp, kNodePort, kNodeAddress, kVirtualIp, kHairpin)};
  if (element.kind != kNodePort) element.address = any_address();
  if (element.kind == kServiceIp || element.kind == kNodePort) {
    element.protocol = *rc::gen::element(Protocol::kTcp, Protocol::kUdp, Protocol::kSctp);
    element.port = *rc::gen::arbitrary<std::uint16_t>();
    element.traffic_class = element.kind == kNodePort
                                ? *rc::gen::element(kExternal, kExternalLocal)
                                : *rc::gen::element(kClusterIp, kExternal, kExternalLocal);
  }
  return element;
}

std::vector<Element> any_elements() {
  std::vector<Element> elements(*rc::gen::inRange<std::size_t>(0, 40), Element{});
  for (Element& element : elements) element = any_element();
  return elements;
}

bool by_key_and_class(const Element& a, const Element& b) {
  if (ElementKeyLess{}(a, b) || ElementKeyLess{}(b, a)) return ElementKeyLess{}(a, b);
  return a.traffic_class < b.traffic_class;
}

std::vector<ElementOp> additions(std::size_t count) {
  std::vector<ElementOp> ops;
  for (std::uint32_t i = 0; i < count; ++i) {
    ops.push_back({.add = true,
                   .element = {.kind = ElementKind::kVirtualIp,
                               .address = boost::asio::ip::address_v4(i + 1)}});
  }
  return ops;
}

}  // namespace

TEST_CASE("a table that is installed decodes to the elements it was given") {
  REQUIRE(rc::check("install", [] {
    std::vector<Element> elements = any_elements();
    Transaction transaction = encode_install({}, elements);
    RC_ASSERT(!transaction.misplaced);
    RC_ASSERT(transaction.ranges.size() == transaction.batch.size());
    std::vector<Element> decoded = elements_of(transaction.batch, NFT_MSG_NEWSETELEM);
    std::sort(elements.begin(), elements.end(), by_key_and_class);
    std::sort(decoded.begin(), decoded.end(), by_key_and_class);
    RC_ASSERT(decoded == elements);
  }));
}

TEST_CASE(
    "changes decode to the elements they were given, in order, and every operation is in one "
    "range") {
  REQUIRE(rc::check("changes", [] {
    std::vector<ElementOp> ops;
    for (const Element& element : any_elements()) {
      ops.push_back({.add = *rc::gen::arbitrary<bool>(), .element = element});
    }
    Transaction transaction = encode_changes(ops);
    RC_ASSERT(transaction.ranges.size() == transaction.batch.size());
    std::size_t next = 0;
    for (std::size_t i = 1; i + 1 < transaction.batch.size(); ++i) {
      const auto [first, last] = transaction.ranges[i];
      RC_ASSERT(first == next && last > first && last <= ops.size());
      std::vector<Element> decoded;
      decode_elements(payload_of(transaction.batch, i), decoded);
      RC_ASSERT(decoded.size() == last - first);
      for (std::size_t op = first; op < last; ++op) {
        RC_ASSERT(decoded[op - first] == ops[op].element);
        RC_ASSERT(transaction.batch.message_type(i) ==
                  type_of(ops[op].add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM));
      }
      next = last;
    }
    RC_ASSERT(next == ops.size());
  }));
}

TEST_CASE("an installation deletes the old table before it creates the new one") {
  const Transaction transaction = encode_install({}, {});
  const auto types = types_of(transaction.batch);
  REQUIRE(types.size() > 5);
  CHECK(types.front() == NFNL_MSG_BATCH_BEGIN);
  CHECK(types[1] == type_of(NFT_MSG_NEWTABLE));
  CHECK(types[2] == type_of(NFT_MSG_DELTABLE));
  CHECK(types[3] == type_of(NFT_MSG_NEWTABLE));
  CHECK(types.back() == NFNL_MSG_BATCH_END);
  const auto count = [&](int command) {
    return static_cast<std::size_t>(std::count(types.begin(), types.end(), type_of(command)));
  };
  CHECK(count(NFT_MSG_NEWSET) == table_sets().size());
  CHECK(count(NFT_MSG_NEWCHAIN) == table_chains().size());
  CHECK(count(NFT_MSG_NEWRULE) == table_rules({}).size());
}

TEST_CASE("rules are replaced after all chains have lost theirs") {
  const Transaction transaction = encode_replace_rules({});
  const auto types = types_of(transaction.batch);
  REQUIRE(types.size() == table_chains().size() + table_rules({}).size() + 2);
  CHECK(types.front() == NFNL_MSG_BATCH_BEGIN);
  CHECK(types.back() == NFNL_MSG_BATCH_END);
  const auto first_rule = types.begin() + 1 + static_cast<std::ptrdiff_t>(table_chains().size());
  CHECK(std::all_of(types.begin() + 1, first_rule,
                    [](auto type) { return type == type_of(NFT_MSG_DELRULE); }));
  CHECK(std::all_of(first_rule, types.end() - 1,
                    [](auto type) { return type == type_of(NFT_MSG_NEWRULE); }));
}

TEST_CASE("many elements are split into messages whose lists fit into an attribute") {
  const auto ops = additions(2 * kElementsPerMessage + 1);
  Transaction transaction = encode_changes(ops);
  REQUIRE(transaction.batch.size() == 5);
  CHECK(transaction.ranges[1] == Transaction::Range{0, kElementsPerMessage});
  CHECK(transaction.ranges[2] == Transaction::Range{kElementsPerMessage, 2 * kElementsPerMessage});
  CHECK(transaction.ranges[3] == Transaction::Range{2 * kElementsPerMessage, ops.size()});

  std::vector<Element> largest(kElementsPerMessage,
                               {.kind = ElementKind::kHairpin, .address = address("fd00::1")});
  Transaction install = encode_install({}, largest);
  for (std::size_t i = 0; i < install.batch.size(); ++i)
    CHECK(install.batch.message_bytes(i).size() < 65'536);
}

TEST_CASE("an element without a set is reported and nothing is to be sent") {
  auto ops = additions(3);
  ops[1].element = {.kind = ElementKind::kNodePort,
                    .address = {},
                    .protocol = Protocol::kTcp,
                    .traffic_class = TrafficClass::kClusterIp,
                    .port = 30000};
  CHECK(encode_changes(ops).misplaced == 1);
  CHECK(encode_install({}, std::vector{ops[0].element, ops[2].element, ops[1].element}).misplaced ==
        2);
}

TEST_CASE("an element is encoded as nft 1.0.6 sends it") {
  const ElementOp op{.add = true,
                     .element = {.kind = ElementKind::kServiceIp,
                                 .address = address("10.1.1.1"),
                                 .protocol = Protocol::kTcp,
                                 .port = 80}};
  Transaction transaction = encode_changes({&op, 1});
  CHECK(hex(payload_of(transaction.batch, 1)) ==
        "01000000"  // nfgenmsg: NFPROTO_INET
        "0e000100"
        "6b7562652d6970767300"
        "0000"  // table "kube-ipvs"
        "12000200"
        "636c75737465722d6970732d3400"
        "0000"  // set "cluster-ips-4"
        "1c000380"
        "18000180"
        "14000180"
        "10000100"  // elements, one of them, its key, the value
        "0a010101"
        "06000000"
        "00500000");
}

TEST_CASE("a concatenation has the type and byte order by which nft prints it") {
  Transaction transaction = encode_install({}, {});
  const auto types = types_of(transaction.batch);
  const auto first = std::find(types.begin(), types.end(), type_of(NFT_MSG_NEWSET)) - types.begin();
  CHECK(hex(payload_of(transaction.batch, static_cast<std::size_t>(first)).subspan(4 + 16 + 20)) ==
        "08000300"
        "00000000"  // flags
        "08000400"
        "0000730d"  // ipv4_addr . inet_proto . inet_service
        "08000500"
        "0000000c"  // 12 bytes
        "08000a00"
        "00000001"  // id
        "0a000d00"
        "000400000000"
        "0000");
}

// What nft sends for `ct original ip daddr` and for `fib saddr type`, attribute for attribute.
TEST_CASE("what the client wrote, and whose the source is, are read as nft 1.0.6 has it") {
  MessageBatch batch;
  batch.begin_message(0);
  put_expressions(
      batch, std::vector<Expression>{
                 expression::LoadConntrack{.key = NFT_CT_DST_IP, .to = NFT_REG_1, .direction = 0},
                 expression::LoadSourceType{NFT_REG_1}});
  CHECK(hex(payload_of(batch, 0)) ==
        "54000480"
        "280001800700010063740000"  // "ct"
        "1c000280"
        "0800020000000014"                  // NFT_CT_DST_IP
        "0800010000000001"                  // to NFT_REG_1
        "0500030000000000"                  // IP_CT_DIR_ORIGINAL
        "2800018008000100666962001c000280"  // "fib"
        "0800030000000001"                  // NFTA_FIB_F_SADDR
        "0800020000000003"                  // NFT_FIB_RESULT_ADDRTYPE
        "0800010000000001");
}
