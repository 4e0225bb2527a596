// SPDX-License-Identifier: Apache-2.0
#include "ipvs/netlink/message.hpp"

#include <linux/netlink.h>
#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

using ipvs::AttributeReader;
using ipvs::Bytes;
using ipvs::MessageBatch;

nlmsghdr header_of(Bytes message) {
  nlmsghdr header;
  REQUIRE(message.size() >= sizeof(header));
  std::memcpy(&header, message.data(), sizeof(header));
  return header;
}

Bytes attributes_of(Bytes message) { return message.subspan(sizeof(nlmsghdr)); }

}  // namespace

TEST_CASE("the messages of a batch are separate and aligned to 4 bytes") {
  MessageBatch batch;
  batch.begin_message(17, NLM_F_CREATE);
  batch.put_string(1, "rr");
  batch.begin_message(18);
  REQUIRE(batch.size() == 2);
  const auto first = batch.message_bytes(0);
  CHECK(first.size() == 16 + 8);  // the string is 4 + 3 bytes, padded
  CHECK(header_of(first).nlmsg_len == 24);
  CHECK(header_of(first).nlmsg_type == 17);
  CHECK(header_of(first).nlmsg_flags == (NLM_F_REQUEST | NLM_F_CREATE));
  CHECK(header_of(batch.message_bytes(1)).nlmsg_len == 16);
  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.byte_size() == 0);
}

TEST_CASE("sealing a message again replaces its sequence number and its acknowledgement flag") {
  MessageBatch batch;
  batch.begin_message(17, NLM_F_EXCL);
  batch.seal(0, 7, NLM_F_ACK);
  batch.seal(0, 8, 0);
  const nlmsghdr header = header_of(batch.message_bytes(0));
  CHECK(header.nlmsg_seq == 8);
  CHECK(header.nlmsg_flags == (NLM_F_REQUEST | NLM_F_EXCL));
}

TEST_CASE("attributes are read as they were written") {
  REQUIRE(rc::check("every kind of attribute", [](std::uint8_t a, std::uint16_t b, std::uint32_t c,
                                                  std::uint64_t d, const std::string& e) {
    MessageBatch batch;
    batch.begin_message(17);
    batch.put_u8(1, a);
    batch.put_be16(2, b);
    const auto nest = batch.begin_nest(3);
    batch.put_be32(1, c);
    batch.put_be64(2, d);
    batch.end_nest(nest);
    batch.put_string(4, e);
    batch.put_flag(5);

    AttributeReader reader(attributes_of(batch.message_bytes(0)));
    RC_ASSERT(reader.next()->u8() == a);
    RC_ASSERT(reader.next()->be16() == b);
    const auto inner = reader.next();
    RC_ASSERT(inner->type == 3);
    AttributeReader nested(inner->payload);
    RC_ASSERT(nested.next()->be32() == c);
    RC_ASSERT(nested.next()->be64() == d);
    RC_ASSERT(!nested.next());
    RC_ASSERT(reader.next()->string() == e.substr(0, e.find('\0')));
    RC_ASSERT(reader.next()->payload.empty());
    RC_ASSERT(!reader.next());
    RC_ASSERT(!reader.malformed());
  }));
}

TEST_CASE("the family of an address is known by its length") {
  MessageBatch batch;
  batch.begin_message(17);
  for (const char* text : {"10.96.0.1", "fd00::1"}) {
    batch.put_address(1, boost::asio::ip::make_address(text));
  }
  batch.put_u16(1, 0);
  AttributeReader reader(attributes_of(batch.message_bytes(0)));
  CHECK(reader.next()->address() == boost::asio::ip::make_address("10.96.0.1"));
  CHECK(reader.next()->address() == boost::asio::ip::make_address("fd00::1"));
  CHECK_FALSE(reader.next()->address().has_value());
}

TEST_CASE("a truncated value reads as absent") {
  MessageBatch batch;
  batch.begin_message(17);
  batch.put_u16(1, 5);
  AttributeReader reader(attributes_of(batch.message_bytes(0)));
  const auto attribute = reader.next();
  CHECK(attribute->u8() == 5);
  CHECK_FALSE(attribute->u32().has_value());
  CHECK_FALSE(attribute->be64().has_value());
}

TEST_CASE("a message shorter than its family header has no attributes") {
  const std::byte bytes[3] = {};
  AttributeReader reader(Bytes(bytes), 4);
  CHECK(reader.malformed());
  CHECK_FALSE(reader.next().has_value());
}

TEST_CASE("a reader ends within its bytes, whatever they are") {
  REQUIRE(rc::check("any bytes", [](const std::vector<std::uint8_t>& input) {
    // `input` is on the heap and has exactly this size, so a sanitizer finds every read beyond it.
    const Bytes bytes = std::as_bytes(std::span(input));
    std::size_t total = 0;
    AttributeReader reader(bytes);
    while (const auto attribute = reader.next()) {
      total += 4 + attribute->payload.size();
      RC_ASSERT(total <= bytes.size() + 3);
      (void)attribute->string();
    }
    RC_ASSERT(!reader.next());
  }));
}

TEST_CASE("an attribute length smaller than its header ends the reading") {
  const std::uint16_t words[] = {3, 1, 8, 1, 0, 0};
  AttributeReader reader(std::as_bytes(std::span(words)));
  CHECK_FALSE(reader.next().has_value());
  CHECK(reader.malformed());
}
