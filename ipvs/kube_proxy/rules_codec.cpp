// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/rules_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "ipvs/kube_proxy/chain_codec.hpp"
#include "ipvs/kube_proxy/legacy_text.hpp"
#include "ipvs/kube_proxy/names.hpp"

namespace ipvs {
namespace {

constexpr std::uint8_t kProtocol = 6;
constexpr std::string_view kTarget = "KUBE-MARK-MASQ";
// Of struct xt_set_info, in every revision of the match since Linux 2.6.39.
constexpr std::size_t kSetFlags = 3;

std::optional<Attribute> find(Bytes nest, std::uint16_t type) {
  for (AttributeReader reader(nest); const auto found = reader.next();) {
    if (found->type == type) return found;
  }
  return std::nullopt;
}

struct Member {
  Address address{};
  std::uint16_t port = 0;
  std::optional<Protocol> protocol;
  std::optional<Network> source;
  ServerKey key() const { return {address, port, protocol.value_or(Protocol::kTcp)}; }
};

Address read_address(Bytes nest) {
  for (const std::uint16_t type : {IPSET_ATTR_IPADDR_IPV4, IPSET_ATTR_IPADDR_IPV6}) {
    if (const auto found = find(nest, type)) return found->address().value_or(Address{});
  }
  return {};
}

Network whole(const Address& address) {
  return {address, static_cast<std::uint16_t>(address.is_v4() ? 32 : 128)};
}

Member read_member(Bytes data) {
  Member member;
  std::optional<std::uint8_t> prefix_length;
  for (AttributeReader reader(data); const auto found = reader.next();) {
    switch (found->type) {
      case IPSET_ATTR_PORT:
        member.port = found->be16().value_or(0);
        break;
      case IPSET_ATTR_PROTO:
        member.protocol = protocol_numbered(found->u8());
        break;
      case IPSET_ATTR_IP:
        member.address = read_address(found->payload);
        break;
      case IPSET_ATTR_IP2:
        member.source = whole(read_address(found->payload));
        break;
      case IPSET_ATTR_CIDR2:
        prefix_length = found->u8();
        break;
      default:
        break;
    }
  }
  if (member.source && prefix_length) member.source->prefix_length = *prefix_length;
  return member;
}

void enter(std::string_view set, const Member& member, KubeProxyRules& rules) {
  if (set == "CLUSTER-IP") rules.cluster_ips.insert(member.key());
  if (set == "EXTERNAL-IP" || set == "LOAD-BALANCER" || set == "NODE-PORT-SCTP-HASH") {
    rules.external.insert(member.key());
  }
  if (set == "EXTERNAL-IP-LOCAL" || set == "LOAD-BALANCER-LOCAL" ||
      set == "NODE-PORT-LOCAL-SCTP-HASH") {
    rules.external_local.insert(member.key());
  }
  if (set == "LOAD-BALANCER-FW") rules.limits.limited.insert(member.key());
  if (member.source && set.starts_with("LOAD-BALANCER-SOURCE-")) {
    rules.limits.allowed[member.key()].insert(*member.source);
  }
  if (set == "NODE-PORT-TCP") rules.node_ports.insert({member.port, Protocol::kTcp});
  if (set == "NODE-PORT-UDP") rules.node_ports.insert({member.port, Protocol::kUdp});
  if (set == "NODE-PORT-LOCAL-TCP") rules.node_ports_local.insert({member.port, Protocol::kTcp});
  if (set == "NODE-PORT-LOCAL-UDP") rules.node_ports_local.insert({member.port, Protocol::kUdp});
}

// What a rule of iptables-nft compares, expression by expression.
class RuleReader {
 public:
  explicit RuleReader(std::uint8_t family) : family_(family) {}

  void read(std::string_view name, Bytes data) {
    if (name == "payload") {
      loads_source_ = number(data, NFTA_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER &&
                      number(data, NFTA_PAYLOAD_OFFSET) == (is_v6() ? 8 : 12);
      prefix_ = 8 * number(data, NFTA_PAYLOAD_LEN).value_or(0);
    } else if (name == "bitwise" && loads_source_) {
      prefix_ = 0;
      for (const std::byte each : value(data, NFTA_BITWISE_MASK)) {
        prefix_ += static_cast<std::uint32_t>(std::popcount(std::to_integer<unsigned>(each)));
      }
    } else if (name == "meta") {
      loads_source_ = false;
      loads_interface_ = number(data, NFTA_META_KEY) == NFT_META_IIFNAME;
    } else if (name == "cmp" && number(data, NFTA_CMP_OP) == NFT_CMP_NEQ) {
      take_compared(value(data, NFTA_CMP_DATA));
    } else if (name == "match") {
      const auto match = find(data, NFTA_MATCH_NAME);
      const auto info = find(data, NFTA_MATCH_INFO);
      if (!match || match->string() != "set" || !info || info->payload.size() <= kSetFlags) return;
      by_source_ = (std::to_integer<unsigned>(info->payload[kSetFlags]) & IPSET_DIM_ONE_SRC) != 0;
    }
  }

  std::string text() const {
    if (!interface_.empty()) return "clients that do not come from " + interface_;
    if (network_) return clients_outside({*network_});
    return by_source_ ? kVirtualIpClients : kAllClients;
  }

 private:
  bool is_v6() const { return family_ == NFPROTO_IPV6; }
  static std::optional<std::uint32_t> number(Bytes data, std::uint16_t type) {
    const auto found = find(data, type);
    return found ? found->be32() : std::nullopt;
  }
  static Bytes value(Bytes data, std::uint16_t type) {
    const auto nest = find(data, type);
    const auto found = nest ? find(nest->payload, NFTA_DATA_VALUE) : std::nullopt;
    return found ? found->payload : Bytes{};
  }

  void take_compared(Bytes compared) {
    if (loads_source_) {
      boost::asio::ip::address_v6::bytes_type bytes{};
      std::memcpy(bytes.data(), compared.data(), std::min(compared.size(), bytes.size()));
      Address address = boost::asio::ip::address_v6(bytes);
      if (!is_v6()) {
        address = boost::asio::ip::address_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
      }
      network_ = Network{address, static_cast<std::uint16_t>(prefix_)};
    } else if (loads_interface_) {
      const auto* text = reinterpret_cast<const char*>(compared.data());
      interface_.assign(text, ::strnlen(text, compared.size()));
      // A name has its NUL; a prefix has not.
      if (interface_.size() == compared.size()) interface_ += "+";
    }
  }

  std::uint8_t family_;
  bool loads_source_ = false, loads_interface_ = false, by_source_ = false;
  std::uint32_t prefix_ = 0;
  std::optional<Network> network_;
  std::string interface_;
};

std::string_view word_after(std::string_view text, std::string_view option) {
  const std::size_t at = text.find(option);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + option.size());
  return text.substr(0, text.find(' '));
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  boost::system::error_code error;
  Network network;
  network.address = boost::asio::ip::make_address(std::string(text.substr(0, slash)), error);
  const std::string_view length = text.substr(slash + 1);
  const auto [end, fault] =
      std::from_chars(length.data(), length.data() + length.size(), network.prefix_length);
  if (error || fault != std::errc() || end != length.data() + length.size()) return std::nullopt;
  return network;
}

}  // namespace

void encode_list_members(MessageBatch& batch) {
  batch.begin_message(static_cast<std::uint16_t>(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST));
  batch.put_header(nfgenmsg{.nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0, .res_id = 0});
  batch.put_u8(IPSET_ATTR_PROTOCOL, kProtocol);
}

void decode_members(Bytes payload, KubeProxyRules& rules) {
  std::string_view set;
  Bytes members;
  for (AttributeReader reader(payload, sizeof(nfgenmsg)); const auto found = reader.next();) {
    if (found->type == IPSET_ATTR_SETNAME) set = kube_proxy_set_kind(found->string());
    if (found->type == IPSET_ATTR_ADT) members = found->payload;
  }
  if (set.empty()) return;
  for (AttributeReader reader(members); const auto found = reader.next();) {
    if (found->type == IPSET_ATTR_DATA) enter(set, read_member(found->payload), rules);
  }
}

std::optional<std::string> decode_cluster_ip_clients(Bytes payload) {
  const auto rule = decode_table_rule(payload);
  if (!rule || rule->chain != kServicesChain || rule->target != kTarget) return std::nullopt;
  nfgenmsg header;
  std::memcpy(&header, payload.data(), sizeof(header));
  RuleReader expressions(header.nfgen_family);
  for (AttributeReader reader(payload, sizeof(header)); const auto found = reader.next();) {
    if (found->type != NFTA_RULE_EXPRESSIONS) continue;
    for (AttributeReader list(found->payload); const auto expression = list.next();) {
      const auto name = find(expression->payload, NFTA_EXPR_NAME);
      const auto data = find(expression->payload, NFTA_EXPR_DATA);
      if (name && data) expressions.read(name->string(), data->payload);
    }
  }
  return expressions.text();
}

std::optional<std::string> parse_cluster_ip_clients(std::string_view saved) {
  for (const TableRule& rule : parse_saved_rules(saved)) {
    if (rule.chain != kServicesChain || rule.target != kTarget) continue;
    if (const auto network = parse_network(word_after(rule.text, " ! -s "))) {
      return clients_outside({*network});
    }
    if (const auto name = word_after(rule.text, " ! -i "); !name.empty()) {
      return clients_not_from(name);
    }
    const bool by_source = rule.text.find(" src,dst ") != std::string::npos;
    return by_source ? kVirtualIpClients : kAllClients;
  }
  return std::nullopt;
}

}  // namespace ipvs
