// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/decode.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <initializer_list>

#include "ipvs/nftables/encode.hpp"
#include "ipvs/nftables/table.hpp"

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

constexpr std::uint16_t type_of(int command) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | command);
}

// A message of nf_tables as the kernel could send it.
class Message {
 public:
  explicit Message(std::uint8_t family = NFPROTO_INET) {
    batch_.begin_message(type_of(NFT_MSG_NEWSETELEM));
    batch_.put_header(nfgenmsg{.nfgen_family = family, .version = 0, .res_id = 0});
  }
  Message& text(int type, const char* value) {
    batch_.put_string(static_cast<std::uint16_t>(type), value);
    return *this;
  }
  using Fill = std::function<void(MessageBatch&)>;
  // One element with this key; `more` may add attributes to it.
  Message& element(std::initializer_list<int> key, const Fill& more = {}) {
    std::vector<std::byte> bytes;
    for (const int byte : key) bytes.push_back(static_cast<std::byte>(byte));
    const auto list = batch_.begin_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
    const auto item = batch_.begin_nest(NFTA_LIST_ELEM);
    const auto nest = batch_.begin_nest(NFTA_SET_ELEM_KEY);
    batch_.put_bytes(NFTA_DATA_VALUE, bytes);
    batch_.end_nest(nest);
    if (more) more(batch_);
    batch_.end_nest(item);
    batch_.end_nest(list);
    return *this;
  }
  Bytes payload() { return batch_.message_bytes(0).subspan(sizeof(nlmsghdr)); }
  std::vector<Element> decoded() {
    std::vector<Element> elements;
    decode_elements(payload(), elements);
    return elements;
  }

 private:
  MessageBatch batch_;
};

Message in_set(const char* set, const char* table = kTableName) {
  Message message;
  message.text(NFTA_SET_ELEM_LIST_TABLE, table).text(NFTA_SET_ELEM_LIST_SET, set);
  return message;
}

}  // namespace

TEST_CASE("a key is read by the set it is in") {
  CHECK(in_set("external-ips-4").element({192, 0, 2, 1, 17, 0, 0, 0, 1, 187, 0, 0}).decoded() ==
        std::vector<Element>{{.kind = ElementKind::kServiceIp,
                              .address = address("192.0.2.1"),
                              .protocol = Protocol::kUdp,
                              .traffic_class = TrafficClass::kExternal,
                              .port = 443}});
  CHECK(in_set("node-ports-local").element({132, 0, 0, 0, 0x75, 0x30, 0, 0}).decoded() ==
        std::vector<Element>{{.kind = ElementKind::kNodePort,
                              .address = {},
                              .protocol = Protocol::kSctp,
                              .traffic_class = TrafficClass::kExternalLocal,
                              .port = 30000}});
  CHECK(in_set("node-addresses-4").element({192, 0, 2, 1}).decoded() ==
        std::vector<Element>{{.kind = ElementKind::kNodeAddress, .address = address("192.0.2.1")}});
}

TEST_CASE("attributes that the kernel adds to an element are ignored") {
  const auto more = [](MessageBatch& batch) {
    batch.put_be32(NFTA_SET_ELEM_FLAGS, 0);
    batch.put_bytes(NFTA_SET_ELEM_USERDATA, std::array{std::byte{1}});
    batch.put_be64(NFTA_SET_ELEM_TIMEOUT, 1000);
  };
  CHECK(in_set("virtual-ips-4").element({10, 96, 0, 1}, more).decoded().size() == 1);
}

TEST_CASE("elements that we would not have written are left out") {
  CHECK(in_set("cluster-ips-4")
            .element({10, 96, 0, 1, 1, 0, 0, 0, 0, 80, 0, 0})
            .decoded()
            .empty());  // ICMP
  CHECK(in_set("hairpin-4").element({10, 1, 1, 1, 10, 1, 1, 2}).decoded().empty());
  CHECK(in_set("virtual-ips-4").element({10, 96, 0}).decoded().empty());
  CHECK(in_set("virtual-ips-4").element({10, 96, 0, 1, 0, 0, 0, 0}).decoded().empty());
  CHECK(in_set("virtual-ips-6").element({10, 96, 0, 1}).decoded().empty());
  const auto interval_end = [](MessageBatch& batch) { batch.put_be32(NFTA_SET_ELEM_FLAGS, 1); };
  CHECK(in_set("virtual-ips-4").element({10, 96, 0, 1}, interval_end).decoded().empty());
  const auto range = [](MessageBatch& batch) {
    const auto nest = batch.begin_nest(NFTA_SET_ELEM_KEY_END);
    batch.put_be32(NFTA_DATA_VALUE, 0x0a6000ff);
    batch.end_nest(nest);
  };
  CHECK(in_set("virtual-ips-4").element({10, 96, 0, 1}, range).decoded().empty());
}

TEST_CASE("sets of others are not read") {
  CHECK(in_set("virtual-ips-4", "kube-proxy").element({10, 96, 0, 1}).decoded().empty());
  CHECK(in_set("blocklist").element({10, 96, 0, 1}).decoded().empty());
  Message ip_family(NFPROTO_IPV4);
  ip_family.text(NFTA_SET_ELEM_LIST_TABLE, kTableName)
      .text(NFTA_SET_ELEM_LIST_SET, "virtual-ips-4");
  CHECK(ip_family.element({10, 96, 0, 1}).decoded().empty());
}

TEST_CASE("a message cut anywhere yields whole elements or none") {
  Message message = in_set("cluster-ips-4");
  const Bytes whole = message.element({192, 0, 2, 1, 17, 0, 0, 0, 1, 187, 0, 0}).payload();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::vector<Element> elements;
    decode_elements(whole.first(size), elements);
    CHECK(elements.empty());
    concerns_our_table(type_of(NFT_MSG_NEWSETELEM), whole.first(size));
  }
}

TEST_CASE("a message is about our table by family and name") {
  Message ours;
  ours.text(NFTA_TABLE_NAME, kTableName);
  for (const int command : {NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_DELRULE,
                            NFT_MSG_DELSET, NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM}) {
    CHECK(concerns_our_table(type_of(command), ours.payload()));
  }
  CHECK_FALSE(concerns_our_table(type_of(NFT_MSG_NEWGEN), ours.payload()));
  CHECK_FALSE(concerns_our_table(NFNL_SUBSYS_CTNETLINK << 8, ours.payload()));
  CHECK_FALSE(concerns_our_table(type_of(NFT_MSG_DELTABLE),
                                 Message().text(NFTA_TABLE_NAME, "kube-ipvs2").payload()));
  CHECK_FALSE(
      concerns_our_table(type_of(NFT_MSG_DELTABLE),
                         Message(NFPROTO_IPV4).text(NFTA_TABLE_NAME, kTableName).payload()));
}
