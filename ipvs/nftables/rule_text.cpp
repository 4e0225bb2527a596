// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/rule_text.hpp"

#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>

#include "ipvs/nftables/registers.hpp"
#include "ipvs/nftables/table.hpp"

namespace ipvs {
namespace {

// What a register holds, as nft names it.
struct Symbol {
  std::string text{};
  std::size_t words = 0;
  RegisterValue mask{};  // of a Bitwise on it; size 0: none
};

constexpr std::array<std::string_view, 4> kStates{"invalid", "established", "related", "new"};

std::string_view protocol_text(std::uint8_t number) {
  switch (number) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_ICMP:
      return "icmp";
    default:
      return "ipv6-icmp";
  }
}

std::uint8_t first_byte(const RegisterValue& value) {
  return std::to_integer<std::uint8_t>(value.bytes[0]);
}

// "10.244.0.0/16", "::1"
std::string network_text(const RegisterValue& value, const RegisterValue& mask) {
  std::array<unsigned char, 16> bytes{};
  int length = 0;
  for (std::size_t i = 0; i < value.size; ++i) {
    bytes[i] = std::to_integer<unsigned char>(value.bytes[i]);
    if (mask.size != 0) length += std::popcount(std::to_integer<unsigned char>(mask.bytes[i]));
  }
  std::string text;
  if (value.size == 4) {
    text = boost::asio::ip::address_v4({bytes[0], bytes[1], bytes[2], bytes[3]}).to_string();
  } else {
    text = boost::asio::ip::address_v6(bytes).to_string();
  }
  return mask.size == 0 ? text : text + "/" + std::to_string(length);
}

std::string interface_text(const RegisterValue& value) {
  std::string name;
  for (std::size_t i = 0; i < value.size && value.bytes[i] != std::byte{0}; ++i)
    name += static_cast<char>(value.bytes[i]);
  const bool is_prefix = value.size < value.bytes.size();
  return "\"" + name + (is_prefix ? "*\"" : "\"");
}

std::string states_text(const RegisterValue& mask) {
  std::string text;
  for (std::size_t bit = 0; bit < kStates.size(); ++bit) {
    if ((first_byte(mask) >> bit & 1) == 0) continue;
    text += (text.empty() ? "" : ",") + std::string(kStates[bit]);
  }
  return text;
}

// The bytes of another packet, quoted in an ICMP message.
std::string raw_text(const expression::LoadPayload& load) {
  return "@th," + std::to_string(load.offset * 8) + "," + std::to_string(load.length * 8);
}

bool is_address(const Expression& any) {
  const auto* load = std::get_if<expression::LoadPayload>(&any);
  return load && load->base == NFT_PAYLOAD_NETWORK_HEADER;
}

// Ports have the same place in all protocols.
bool is_protocol_field(const Expression& any) {
  const auto* load = std::get_if<expression::LoadPayload>(&any);
  return load && load->base == NFT_PAYLOAD_TRANSPORT_HEADER && load->length == 1;
}

// Type and code come first; of TCP only the flags are read.
bool is_icmp_field(const Expression& any) {
  return is_protocol_field(any) && std::get<expression::LoadPayload>(any).offset < 2;
}

class Text {
 public:
  explicit Text(const Expressions& all) {
    // nft leaves out what the next match says as well: a field of IP or of ICMP the family, a field of
    // TCP or of ICMP the protocol.
    const auto has_none = [&all](const auto& says_it) {
      return std::none_of(all.begin(), all.end(), says_it);
    };
    names_protocol_ = has_none(is_protocol_field);
    names_family_ = has_none(is_address) && has_none(is_icmp_field);
    for (const Expression& each : all) std::visit([this](const auto& one) { add(one); }, each);
  }
  std::string take() { return std::move(text_); }

 private:
  void say(const std::string& words) { text_ += (text_.empty() ? "" : " ") + words; }
  void load(std::uint32_t to, std::string text, std::size_t bytes) {
    symbols_[word_of(to)] = {.text = std::move(text), .words = (bytes + 3) / 4};
  }

  void add(const expression::LoadMeta& meta) {
    switch (meta.key) {
      case NFT_META_NFPROTO:
        return load(meta.to, "meta nfproto", 1);
      case NFT_META_L4PROTO:
        return load(meta.to, "meta l4proto", 1);
      default:
        return load(meta.to, "iifname", 16);
    }
  }
  void add(const expression::LoadPayload& payload) {
    if (payload.base == NFT_PAYLOAD_NETWORK_HEADER) {
      const bool v6 = payload.length == 16;
      is_v6_ = v6;
      const bool source = payload.offset == (v6 ? 8U : 12U);
      return load(payload.to, std::string(v6 ? "ip6 " : "ip ") + (source ? "saddr" : "daddr"),
                  payload.length);
    }
    if (payload.length == 2)
      return load(payload.to, payload.offset == 0 ? "th sport" : "th dport", 2);
    if (payload.length > 1) return load(payload.to, raw_text(payload), payload.length);
    if (protocol_ == IPPROTO_TCP) return load(payload.to, "tcp flags", 1);
    const std::string icmp = protocol_ == IPPROTO_ICMP ? "icmp" : "icmpv6";
    load(payload.to, icmp + (payload.offset == 0 ? " type" : " code"), 1);
  }
  void add(const expression::LoadConntrack& ct) {
    switch (ct.key) {
      case NFT_CT_STATE:
        return load(ct.to, "ct state", 4);
      case NFT_CT_DST_IP:
        return load(ct.to, "ct original ip daddr", 4);
      case NFT_CT_DST_IP6:
        return load(ct.to, "ct original ip6 daddr", 16);
      default:
        return load(ct.to, "ct original proto-dst", 2);
    }
  }
  void add(const expression::LoadSourceType& type) { load(type.to, "fib saddr type", 4); }
  void add(const expression::Bitwise& bitwise) {
    symbols_[word_of(bitwise.in_place)].mask = bitwise.mask;
  }

  void add(const expression::Compare& compare) {
    const Symbol& symbol = symbols_[word_of(compare.from)];
    const std::string what = value_text(symbol, compare.value);
    if (what.empty()) return;
    // Bits of a mask are compared with none of them.
    const bool of_bits = symbol.text == "ct state" || symbol.text == "tcp flags";
    const bool differs = compare.operation == NFT_CMP_NEQ && !of_bits;
    say(symbol.text + (differs ? " != " : " ") + what);
  }
  // "": not said.
  std::string value_text(const Symbol& symbol, const RegisterValue& value) {
    if (symbol.text == "meta nfproto") {
      is_v6_ = first_byte(value) == NFPROTO_IPV6;
      return !names_family_ ? "" : is_v6_ ? "ipv6" : "ipv4";
    }
    if (symbol.text == "meta l4proto") {
      protocol_ = first_byte(value);
      return std::string(names_protocol_ ? protocol_text(protocol_) : "");
    }
    if (symbol.text == "ct state") return states_text(symbol.mask);
    if (symbol.text == "tcp flags") return "rst";
    if (symbol.text == "iifname") return interface_text(value);
    if (symbol.text == "fib saddr type") return "local";
    if (symbol.text.starts_with("icmp"))
      return symbol.text.ends_with("type") ? "destination-unreachable" : "port-unreachable";
    return network_text(value, symbol.mask);
  }

  void add(const expression::Lookup& lookup) {
    const TableSet* set = set_named(lookup.set);
    std::string key;
    std::size_t word = word_of(lookup.from);
    for (std::size_t left = set ? set->key_length / 4 : 0; left > 0 && symbols_[word].words > 0;) {
      const Symbol& symbol = symbols_[word];
      key += (key.empty() ? "" : " . ") + symbol.text;
      left -= std::min(left, symbol.words);
      word += symbol.words;
      if (word >= symbols_.size()) break;
    }
    const std::string name = "@" + std::string(lookup.set);
    if (lookup.to) {
      mapped_ = key + " map " + name;
    } else {
      say(key + (lookup.inverted ? " != " : " ") + name);
    }
  }
  void add(const expression::Verdict& verdict) {
    switch (verdict.code) {
      case NFT_JUMP:
        return say("jump " + std::string(verdict.chain));
      case NFT_GOTO:
        return say("goto " + std::string(verdict.chain));
      case NF_ACCEPT:
        return say("accept");
      default:
        return say("drop");
    }
  }
  void add(const expression::DestinationNat& nat) {
    const std::string to = mapped_.empty() ? symbols_[word_of(nat.from)].text : mapped_;
    say((nat.family == Family::kIpv4 ? "dnat ip to " : "dnat ip6 to ") + to);
  }
  void add(const expression::Masquerade&) { say("masquerade fully-random"); }
  void add(const expression::Reject& reject) {
    if (reject.type == NFT_REJECT_TCP_RST) return say("reject with tcp reset");
    if (reject.type == NFT_REJECT_ICMPX_UNREACH) return say("reject");
    say(is_v6_ ? "reject with icmpv6 port-unreachable" : "reject with icmp port-unreachable");
  }
  // In no rule of our table.
  void add(const expression::ExtensionMatch&) {}
  void add(const expression::LoadValue&) {}
  void add(const expression::SetConntrack&) {}

  std::string text_;
  std::array<Symbol, kRegisterWords> symbols_{};
  std::string mapped_;  // the last map that was read
  bool names_family_ = true;
  bool names_protocol_ = true;
  bool is_v6_ = false;
  std::uint8_t protocol_ = 0;
};

}  // namespace

std::string text_of(const Rule& rule) { return Text(rule.expressions).take(); }

}  // namespace ipvs
