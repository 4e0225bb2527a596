// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/rules_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <string>
#include <vector>

#include "ipvs/nftables/message.hpp"

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

Bytes payload_of(MessageBatch& batch) { return batch.message_bytes(0).subspan(sizeof(nlmsghdr)); }

struct Entry {
  const char* address;
  std::uint16_t port;
  std::uint8_t protocol;
  const char* source = nullptr;
  std::uint8_t prefix_length = 0;
};

void put_nested_address(MessageBatch& batch, std::uint16_t type, const Address& address) {
  const auto nest = batch.begin_nest(type);
  batch.put_address(address.is_v6() ? IPSET_ATTR_IPADDR_IPV6 : IPSET_ATTR_IPADDR_IPV4, address);
  batch.end_nest(nest);
}

MessageBatch reply(const std::string& set, const std::vector<Entry>& entries) {
  MessageBatch batch;
  batch.begin_message(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST);
  batch.put_header(nfgenmsg{.nfgen_family = NFPROTO_IPV4, .version = 0, .res_id = 0});
  batch.put_u8(IPSET_ATTR_PROTOCOL, 6);
  batch.put_string(IPSET_ATTR_SETNAME, set);
  const auto list = batch.begin_nest(IPSET_ATTR_ADT);
  for (const Entry& each : entries) {
    const auto data = batch.begin_nest(IPSET_ATTR_DATA);
    if (each.address != nullptr) put_nested_address(batch, IPSET_ATTR_IP, address(each.address));
    if (each.source != nullptr) put_nested_address(batch, IPSET_ATTR_IP2, address(each.source));
    batch.put_be16(IPSET_ATTR_PORT, each.port);
    if (each.prefix_length != 0) batch.put_u8(IPSET_ATTR_CIDR2, each.prefix_length);
    if (each.protocol != 0) batch.put_u8(IPSET_ATTR_PROTO, each.protocol);
    batch.end_nest(data);
  }
  batch.end_nest(list);
  return batch;
}

using Put = std::function<void(MessageBatch&)>;
struct Expression {
  const char* name;
  Put put;
};

Put compare(std::uint32_t op, const std::vector<unsigned char>& bytes) {
  return [=](MessageBatch& batch) {
    batch.put_be32(NFTA_CMP_OP, op);
    const auto data = batch.begin_nest(NFTA_CMP_DATA);
    batch.put_bytes(NFTA_DATA_VALUE, std::as_bytes(std::span(bytes)));
    batch.end_nest(data);
  };
}

Put load_source(std::uint32_t offset, std::uint32_t length) {
  return [=](MessageBatch& batch) {
    batch.put_be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    batch.put_be32(NFTA_PAYLOAD_OFFSET, offset);
    batch.put_be32(NFTA_PAYLOAD_LEN, length);
  };
}

Put match_set(unsigned char flags) {
  return [=](MessageBatch& batch) {
    batch.put_string(NFTA_MATCH_NAME, "set");
    const std::array<unsigned char, 8> info{1, 0, 2, flags};
    batch.put_bytes(NFTA_MATCH_INFO, std::as_bytes(std::span(info)));
  };
}

MessageBatch rule(std::uint8_t family, const std::vector<Expression>& expressions,
                  const char* target = "KUBE-MARK-MASQ") {
  MessageBatch batch;
  begin_nft_message(batch, family, NFT_MSG_NEWRULE, 0);
  batch.put_string(NFTA_RULE_CHAIN, "KUBE-SERVICES");
  batch.put_be64(NFTA_RULE_HANDLE, 3);
  const auto list = batch.begin_nest(NFTA_RULE_EXPRESSIONS);
  const auto add = [&](const char* name, const Put& put) {
    const auto element = batch.begin_nest(NFTA_LIST_ELEM);
    batch.put_string(NFTA_EXPR_NAME, name);
    const auto data = batch.begin_nest(NFTA_EXPR_DATA);
    put(batch);
    batch.end_nest(data);
    batch.end_nest(element);
  };
  for (const Expression& each : expressions) add(each.name, each.put);
  add("immediate", [&](MessageBatch& b) {
    const auto data = b.begin_nest(NFTA_IMMEDIATE_DATA);
    const auto verdict = b.begin_nest(NFTA_DATA_VERDICT);
    b.put_string(NFTA_VERDICT_CHAIN, target);
    b.end_nest(verdict);
    b.end_nest(data);
  });
  batch.end_nest(list);
  return batch;
}

std::string clients(std::uint8_t family, const std::vector<Expression>& expressions) {
  MessageBatch batch = rule(family, expressions);
  const Bytes bytes = payload_of(batch);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    (void)decode_cluster_ip_clients(bytes.first(size));
  }
  return decode_cluster_ip_clients(bytes).value_or("another rule");
}

}  // namespace

TEST_CASE("members of kube-proxy's ipsets are read, and no others (17.2)") {
  KubeProxyRules rules;
  const ServerKey limited{address("192.0.2.3"), 80, Protocol::kTcp};
  const ServerKey limited6{address("fd00::4"), 80, Protocol::kTcp};
  MessageBatch replies[] = {
      reply("KUBE-CLUSTER-IP", {{"10.96.0.1", 80, 6}, {"10.96.0.1", 53, 17}}),
      reply("KUBE-6-CLUSTER-IP", {{"fd00::1", 80, 6}}),
      reply("KUBE-EXTERNAL-IP", {{"192.0.2.1", 80, 6}}),
      reply("KUBE-6-LOAD-BALANCER", {{"fd00::2", 80, 6}}),
      reply("KUBE-LOAD-BALANCER-LOCAL", {{"192.0.2.2", 80, 6}}),
      reply("KUBE-NODE-PORT-TCP", {{nullptr, 30080, 0}}),
      reply("KUBE-NODE-PORT-LOCAL-UDP", {{nullptr, 30053, 0}}),
      reply("KUBE-6-NODE-PORT-LOCAL-SCTP-HAS", {{"fd00::3", 30001, 132}}),
      reply("KUBE-LOAD-BALANCER-FW", {{"192.0.2.3", 80, 6}}),
      reply("KUBE-LOAD-BALANCER-SOURCE-CIDR", {{"192.0.2.3", 80, 6, "203.0.113.0", 24}}),
      reply("KUBE-LOAD-BALANCER-SOURCE-IP", {{"192.0.2.3", 80, 6, "192.0.2.3"}}),
      reply("KUBE-6-LOAD-BALANCER-SOURCE-CID", {{"fd00::4", 80, 6, "fd00:203::", 64}}),
      reply("KUBE-SRC-ABCDEF", {{"192.0.2.9", 80, 6}})};
  for (MessageBatch& each : replies) {
    const Bytes bytes = payload_of(each);
    decode_members(bytes, rules);
    KubeProxyRules cut;
    for (std::size_t size = 0; size < bytes.size(); ++size) decode_members(bytes.first(size), cut);
  }
  const KubeProxyRules expected{
      .cluster_ips = {{address("10.96.0.1"), 80, Protocol::kTcp},
                      {address("10.96.0.1"), 53, Protocol::kUdp},
                      {address("fd00::1"), 80, Protocol::kTcp}},
      .external = {{address("192.0.2.1"), 80, Protocol::kTcp},
                   {address("fd00::2"), 80, Protocol::kTcp}},
      .external_local = {{address("192.0.2.2"), 80, Protocol::kTcp},
                         {address("fd00::3"), 30001, Protocol::kSctp}},
      .node_ports = {{30080, Protocol::kTcp}},
      .node_ports_local = {{30053, Protocol::kUdp}},
      .limits = {.limited = {limited},
                 .allowed = {{limited, {{address("203.0.113.0"), 24}, {address("192.0.2.3"), 32}}},
                             {limited6, {{address("fd00:203::"), 64}}}}},
      .cluster_ip_clients = {}};
  CHECK(rules == expected);
}

TEST_CASE("each form of kube-proxy's rule for clients of cluster IPs is read (17.2)") {
  const Expression set{"match", match_set(0)};
  CHECK(clients(NFPROTO_IPV4,
                {{"payload", load_source(12, 2)}, {"cmp", compare(NFT_CMP_NEQ, {10, 244})}, set}) ==
        "clients outside 10.244.0.0/16");
  const Put mask = [](MessageBatch& batch) {
    const auto nest = batch.begin_nest(NFTA_BITWISE_MASK);
    const std::array<unsigned char, 4> bytes{255, 252, 0, 0};
    batch.put_bytes(NFTA_DATA_VALUE, std::as_bytes(std::span(bytes)));
    batch.end_nest(nest);
  };
  CHECK(clients(NFPROTO_IPV4, {{"payload", load_source(12, 4)},
                               {"bitwise", mask},
                               {"cmp", compare(NFT_CMP_NEQ, {10, 244, 0, 0})},
                               set}) == "clients outside 10.244.0.0/14");
  CHECK(clients(NFPROTO_IPV6, {{"payload", load_source(8, 4)},
                               {"cmp", compare(NFT_CMP_NEQ, {0xfd, 0, 2, 0x44})},
                               set}) == "clients outside fd00:244::/32");
  const Put interface = [](MessageBatch& batch) {
    batch.put_be32(NFTA_META_KEY, NFT_META_IIFNAME);
  };
  CHECK(clients(NFPROTO_IPV4,
                {{"meta", interface}, {"cmp", compare(NFT_CMP_NEQ, {'c', 'n', 'i'})}, set}) ==
        "clients that do not come from cni+");
  CHECK(clients(NFPROTO_IPV4, {set}) == "all clients");
  CHECK(clients(NFPROTO_IPV4, {{"match", match_set(2)}}) ==
        "clients whose address is a virtual IP");
  MessageBatch other = rule(NFPROTO_IPV4, {set}, "KUBE-LOAD-BALANCER");
  CHECK_FALSE(decode_cluster_ip_clients(payload_of(other)));
}

TEST_CASE("the same rule is read as iptables-save writes it (17.2)") {
  const auto read = [](const std::string& matches) {
    return parse_cluster_ip_clients(
               "*nat\n:KUBE-SERVICES - [0:0]\n"
               "-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN\n-A KUBE-SERVICES " +
               matches + " -j KUBE-MARK-MASQ\nCOMMIT\n")
        .value_or("another rule");
  };
  const std::string set = "-m set --match-set KUBE-CLUSTER-IP ";
  CHECK(read("! -s 10.244.0.0/16 -m comment --comment \"a b\" " + set + "dst,dst") ==
        "clients outside 10.244.0.0/16");
  CHECK(read("! -s fd00:244::/32 " + set + "dst,dst") == "clients outside fd00:244::/32");
  CHECK(read("! -i cni0 " + set + "dst,dst") == "clients that do not come from cni0");
  CHECK(read(set + "dst,dst") == "all clients");
  CHECK(read(set + "src,dst") == "clients whose address is a virtual IP");
  CHECK_FALSE(parse_cluster_ip_clients("*nat\nCOMMIT\n"));
  CHECK_FALSE(parse_cluster_ip_clients(""));
}
