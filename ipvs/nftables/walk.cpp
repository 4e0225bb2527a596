// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/walk.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <variant>

#include "ipvs/nftables/registers.hpp"
#include "ipvs/nftables/table.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {
namespace {

// Chains lead to others at most so deep: the kernel has the same limit (NFT_JUMP_STACK_SIZE).
constexpr int kDeepest = 16;
constexpr std::size_t kBytes = kRegisterWords * 4;
constexpr std::uint32_t kNew = 1U << (IP_CT_NEW + 1);

class Registers {
 public:
  void load(std::uint32_t to, const RegisterValue& value) {
    const std::size_t at = word_of(to) * 4;
    const std::size_t size = (value.size + 3) / 4 * 4;  // the rest of the word is 0
    std::memset(&bytes_[at], 0, size);
    std::memcpy(&bytes_[at], value.bytes.data(), value.size);
    mark(to, value.size, true);
  }
  void lose(std::uint32_t to, std::size_t size) { mark(to, size, false); }
  bool is_known(std::size_t word) const { return known_[word]; }
  std::byte* at(std::size_t word) { return &bytes_[word * 4]; }
  const std::byte* at(std::size_t word) const { return &bytes_[word * 4]; }

  Address address(std::size_t word, Family family) const {
    if (family == Family::kIpv4) {
      std::array<unsigned char, 4> four;
      std::memcpy(four.data(), at(word), four.size());
      return boost::asio::ip::address_v4(four);
    }
    std::array<unsigned char, 16> six;
    std::memcpy(six.data(), at(word), six.size());
    return boost::asio::ip::address_v6(six);
  }
  std::uint16_t port(std::size_t word) const {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(at(word)[0]) << 8 |
                                      std::to_integer<unsigned>(at(word)[1]));
  }

 private:
  void mark(std::uint32_t to, std::size_t size, bool known) {
    const std::size_t first = word_of(to);
    for (std::size_t i = 0; i < (size + 3) / 4; ++i) known_[first + i] = known;
  }

  std::array<std::byte, kBytes> bytes_{};
  std::array<bool, kRegisterWords> known_{};
};

RegisterValue value_of_port(std::uint16_t port) {
  RegisterValue value = RegisterValue::zeros(2);
  value.bytes[0] = static_cast<std::byte>(port >> 8);
  value.bytes[1] = static_cast<std::byte>(port & 0xff);
  return value;
}

// What one expression says: whether the rule goes on, and whether that is certain.
struct Answer {
  bool goes_on = true;
  bool is_certain = true;
};

class Walker {
 public:
  Walker(std::span<const Rule> rules, const ElementSet& elements, const Packet& packet)
      : rules_(rules), elements_(elements), packet_(packet) {
    walk_.destination = packet.destination;
  }

  Walk run(std::string_view hook) {
    run_chain(hook, 0);
    return std::move(walk_);
  }

 private:
  struct RuleRun {
    WalkStep step{};
    bool says_something = false;
    std::size_t lookups_left = 0;
    const expression::Verdict* jump = nullptr;
  };

  Family family() const { return family_of(packet_.destination.address); }

  // True: the packet's way through this hook has ended.
  bool run_chain(std::string_view chain, int depth) {
    if (depth > kDeepest) return false;
    for (const Rule& rule : rules_) {
      if (rule.chain != chain) continue;
      RuleRun run = run_rule(rule);
      WalkStep& step = run.step;
      if (step.match == Match::kDepends && !step.is_taken) {
        if (!would_matter(run, depth)) continue;
        walk_.steps.push_back(step);
        continue;
      }
      const bool ends = step.match != Match::kNo && step.ending != Ending::kContinue;
      if (run.says_something || ends) walk_.steps.push_back(step);
      if (step.match == Match::kNo) continue;
      if (ends) {
        walk_.ending = step.ending;
        return true;
      }
      if (!run.jump) continue;
      if (run_chain(run.jump->chain, depth + 1)) return true;
      // Of the rest of this chain, goto skips all: so it is with the chain that jumped here.
      if (run.jump->code == NFT_GOTO) return false;
    }
    return false;
  }

  // A rule that may match, and the walk goes on as if it did not: whether that makes a difference.
  bool would_matter(RuleRun& run, int depth) {
    if (!run.jump) return true;
    Walker other(rules_, elements_, packet_);
    if (!other.run_chain(run.jump->chain, depth + 1)) return false;
    run.step.ending = other.walk_.ending;
    run.step.redirected = other.walk_.destination;
    for (const WalkStep& step : other.walk_.steps) {
      if (step.match != Match::kYes || !step.set) continue;
      run.step.set = step.set;
      run.step.key = step.key;
      run.step.element = step.element;
    }
    return true;
  }

  RuleRun run_rule(const Rule& rule) {
    registers_ = {};
    asks_interface_.reset();
    RuleRun run{.step = {.rule = &rule, .match = Match::kYes, .is_taken = true}};
    run.lookups_left = static_cast<std::size_t>(std::count_if(
        rule.expressions.begin(), rule.expressions.end(),
        [](const Expression& e) { return std::holds_alternative<expression::Lookup>(e); }));
    for (const Expression& each : rule.expressions) {
      const Answer answer = std::visit([&](const auto& one) { return ask(one, run); }, each);
      WalkStep& step = run.step;
      if (answer.is_certain && !answer.goes_on) {
        if (only_keeps_destination(rule)) run.says_something = false;
        step.match = Match::kNo;
        step.is_taken = false;
        step.ending = Ending::kContinue;
        run.jump = nullptr;
        return run;
      }
      if (!answer.is_certain) {
        step.match = Match::kDepends;
        step.is_taken = step.is_taken && answer.goes_on;
        run.says_something = true;
      }
    }
    if (run.step.is_taken) take(run.step);
    return run;
  }

  // Where it does not match, nothing is missing: the destination is another's matter.
  static bool only_keeps_destination(const Rule& rule) {
    const auto* nat = std::get_if<expression::DestinationNat>(&rule.expressions.back());
    return nat && !nat->port_from;
  }

  void take(const WalkStep& step) {
    if (step.ending == Ending::kRedirect) walk_.destination = step.redirected;
  }

  // --- the expressions ---

  Answer ask(const expression::LoadMeta& load, RuleRun&) {
    switch (load.key) {
      case NFT_META_NFPROTO:
        registers_.load(
            load.to, RegisterValue::of_u8(family() == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6));
        break;
      case NFT_META_L4PROTO:
        registers_.load(load.to, RegisterValue::of_u8(static_cast<std::uint8_t>(packet_.protocol)));
        break;
      default:
        asks_interface_ = load.to;
        break;
    }
    return {};
  }

  Answer ask(const expression::LoadPayload& load, RuleRun&) {
    if (load.base == NFT_PAYLOAD_NETWORK_HEADER) {
      const bool is_source = load.offset == (load.length == 16 ? 8U : 12U);
      if (!is_source) {
        registers_.load(load.to, RegisterValue::of(packet_.destination.address));
      } else if (packet_.source) {
        registers_.load(load.to, RegisterValue::of(*packet_.source));
      } else {
        registers_.lose(load.to, load.length);
      }
    } else if (load.length == 2 && load.offset == 2) {
      registers_.load(load.to, value_of_port(packet_.destination.port));
    } else {
      registers_.load(load.to, RegisterValue::zeros(std::min<std::size_t>(load.length, 16)));
    }
    return {};
  }

  Answer ask(const expression::LoadConntrack& load, RuleRun&) {
    switch (load.key) {
      case NFT_CT_STATE:
        registers_.load(load.to, RegisterValue::of_u32(kNew));
        break;
      case NFT_CT_DST_IP:
      case NFT_CT_DST_IP6:
        registers_.load(load.to, RegisterValue::of(packet_.original.address));
        break;
      default:
        registers_.load(load.to, value_of_port(packet_.original.port));
        break;
    }
    return {};
  }

  Answer ask(const expression::LoadSourceType& load, RuleRun&) {
    if (!packet_.is_source_local) {
      registers_.lose(load.to, 4);
    } else {
      registers_.load(load.to,
                      RegisterValue::of_u32(*packet_.is_source_local ? RTN_LOCAL : RTN_UNICAST));
    }
    return {};
  }

  Answer ask(const expression::Bitwise& bitwise, RuleRun&) {
    std::byte* at = registers_.at(word_of(bitwise.in_place));
    for (std::size_t i = 0; i < bitwise.mask.size; ++i)
      at[i] = (at[i] & bitwise.mask.bytes[i]) ^ bitwise.flip.bytes[i];
    return {};
  }

  Answer ask(const expression::Compare& compare, RuleRun& run) {
    const bool wants_equal = compare.operation == NFT_CMP_EQ;
    const std::size_t word = word_of(compare.from);
    if (asks_interface_ && word_of(*asks_interface_) == word) {
      asks_interface_.reset();
      run.says_something = true;
      if (packet_.arrival == Arrival::kUnknown)
        return {.goes_on = !wants_equal, .is_certain = false};
      return {.goes_on = (packet_.arrival == Arrival::kPodInterface) == wants_equal};
    }
    const bool compares_source = holds_source(*run.step.rule, compare);
    if (!registers_.is_known(word)) {
      // A packet does not come by an interface with such a source, and who sends it here is known.
      if (is_loopback(compare.value)) return {.goes_on = !wants_equal};
      run.says_something = true;
      return {.goes_on = !wants_equal, .is_certain = false};
    }
    if (compares_source && !is_loopback(compare.value)) run.says_something = true;
    const bool equal =
        std::memcmp(registers_.at(word), compare.value.bytes.data(), compare.value.size) == 0;
    // A rule for another family or protocol says nothing of this packet.
    if (!compares_source && equal != wants_equal) run.says_something = false;
    return {.goes_on = equal == wants_equal};
  }

  // Whether it compares the source address, or what type of address that is.
  static bool holds_source(const Rule& rule, const expression::Compare& compare) {
    for (const Expression& each : rule.expressions) {
      if (const auto* type = std::get_if<expression::LoadSourceType>(&each)) {
        if (type->to == compare.from) return true;
      }
      const auto* load = std::get_if<expression::LoadPayload>(&each);
      if (!load || load->base != NFT_PAYLOAD_NETWORK_HEADER || load->to != compare.from) continue;
      return load->offset == (load->length == 16 ? 8U : 12U) && compare.value.size == load->length;
    }
    return false;
  }

  static bool is_loopback(const RegisterValue& value) {
    if (value.size == 4) return std::to_integer<int>(value.bytes[0]) == 127;
    return value.size == 16 &&
           value == RegisterValue::of(Address(boost::asio::ip::address_v6::loopback()));
  }

  Answer ask(const expression::Lookup& lookup, RuleRun& run) {
    --run.lookups_left;
    const TableSet* set = set_named(lookup.set);
    if (!set) return {.goes_on = lookup.inverted};
    const Key key = read_key(*set, word_of(lookup.from));
    const Element* found = key.can_be ? find(*set, key) : nullptr;
    WalkStep& step = run.step;
    step.set = set;
    step.key = key.element;
    step.element = found;
    // That an address is none for node ports is said once, by the rule that asks only that.
    const bool is_first_of_two = set->kind == ElementKind::kNodeAddress && run.lookups_left > 0;
    run.says_something = run.says_something || found || !is_first_of_two;
    if (key.is_uncertain) return {.goes_on = false, .is_certain = false};
    if (found && lookup.to) {
      registers_.load(*lookup.to, RegisterValue::of(found->target.address));
      const std::size_t words = found->target.address.is_v4() ? 1 : 4;
      const auto next = static_cast<std::uint32_t>(NFT_REG32_00 + word_of(*lookup.to) + words);
      registers_.load(next, value_of_port(found->target.port));
    }
    return {.goes_on = (found != nullptr) != lookup.inverted};
  }

  Answer ask(const expression::Verdict& verdict, RuleRun& run) {
    switch (verdict.code) {
      case NFT_JUMP:
      case NFT_GOTO:
        run.jump = &verdict;
        break;
      case NF_ACCEPT:
        run.step.ending = Ending::kAccept;
        break;
      default:
        run.step.ending = Ending::kDrop;
        break;
    }
    return {};
  }

  Answer ask(const expression::DestinationNat& nat, RuleRun& run) {
    run.step.ending = Ending::kRedirect;
    run.step.redirected = {
        registers_.address(word_of(nat.from), nat.family),
        nat.port_from ? registers_.port(word_of(*nat.port_from)) : packet_.destination.port};
    return {};
  }

  Answer ask(const expression::Masquerade&, RuleRun& run) {
    run.step.ending = Ending::kMasquerade;
    return {};
  }

  Answer ask(const expression::Reject& reject, RuleRun& run) {
    run.step.ending = reject.type == NFT_REJECT_TCP_RST ? Ending::kReset : Ending::kUnreachable;
    return {};
  }

  Answer ask(const expression::ExtensionMatch&, RuleRun&) { return {.goes_on = false}; }
  // In no rule of this table.
  Answer ask(const expression::LoadValue&, RuleRun&) { return {.goes_on = false}; }
  Answer ask(const expression::SetConntrack&, RuleRun&) { return {.goes_on = false}; }

  // --- the sets ---

  struct Key {
    Element element{};
    bool can_be = true;         // false: no element has such a key
    bool is_uncertain = false;  // an unknown part of it decides
  };

  Key read_key(const TableSet& set, std::size_t word) const {
    Key key;
    Element& element = key.element;
    element.kind = set.kind;
    element.traffic_class = set.traffic_class;
    if (set.family) element.address = unspecified(*set.family);
    const Family of = set.family.value_or(Family::kIpv4);
    const std::size_t words = of == Family::kIpv4 ? 1 : 4;
    bool knows_address = true;
    if (set.key.address) {
      knows_address = registers_.is_known(word);
      if (knows_address) element.address = registers_.address(word, of);
      word += words;
    }
    if (set.key.address_again) {
      const Address again = registers_.address(word, of);
      if (knows_address && again != element.address) key.can_be = false;
      element.address = again;
      word += words;
    }
    if (set.key.port) {
      element.protocol = packet_.protocol;
      element.port = registers_.port(word + 1);
      if (element.port == 0) key.can_be = false;
      word += 2;
    }
    if (!knows_address) {
      // Of a Pod that reaches itself, and of ports, what is known may rule it out.
      const bool ruled_out = !key.can_be || (set.key.address_again && !find(set, key));
      key.can_be = false;
      key.is_uncertain = !ruled_out;
    }
    if (set.key.network && key.can_be) {
      if (registers_.is_known(word)) {
        element.source_network = {registers_.address(word, of),
                                  static_cast<std::uint16_t>(of == Family::kIpv4 ? 32 : 128)};
      } else {
        key.is_uncertain = true;
      }
    }
    return key;
  }

  const Element* find(const TableSet& set, const Key& key) const {
    if (!set.key.network) {
      const auto found = elements_.find(key.element);
      const bool is_in = found != elements_.end() && set_of(*found) == &set;
      return is_in ? &*found : nullptr;
    }
    if (key.is_uncertain) return nullptr;
    Element first = key.element;
    first.source_network = {unspecified(family_of(key.element.address)), 0};
    for (auto at = elements_.lower_bound(first);
         at != elements_.end() && same_server(*at, key.element); ++at) {
      const Network& network = at->source_network;
      if (is_in(key.element.source_network.address, network.address, network.prefix_length))
        return &*at;
    }
    return nullptr;
  }

  std::span<const Rule> rules_;
  const ElementSet& elements_;
  const Packet packet_;
  Registers registers_;
  std::optional<std::uint32_t> asks_interface_;
  Walk walk_;
};

}  // namespace

Walk walk_hook(std::string_view hook, std::span<const Rule> rules, const ElementSet& elements,
               const Packet& packet) {
  return Walker(rules, elements, packet).run(hook);
}

}  // namespace ipvs
