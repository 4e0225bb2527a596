// SPDX-License-Identifier: Apache-2.0
//
// What our table does with the first packet of a new flow: the very rules that are sent to the
// kernel (ipvs/nftables/rules.hpp), run here over the elements that it holds. Pure.
//
// The source of the packet, and the interface by which it came, need not be known. Then a rule that
// compares them depends on them, and the walk continues as for a client outside of the cluster that
// the source ranges allow: it is in no network, in no set, and did not come from a Pod.
//
// The flow is new and not invalid; its source port is none of a Service's. Chains of type nat end
// with the first translation, as in the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "ipvs/nftables/rules.hpp"
#include "ipvs/state/element.hpp"

namespace ipvs {

// By which interface a packet came.
enum class Arrival : std::uint8_t {
  kPodInterface,  // TableRules::pod_interface, or one whose name begins so
  kOther,
  kNone,  // this host sends it
  kUnknown,
};

struct Packet {
  Protocol protocol = Protocol::kTcp;
  std::optional<Address> source{};
  Endpoint destination{};  // as it is now
  Endpoint original{};     // as the client wrote it
  Arrival arrival = Arrival::kUnknown;
  // An address of this host. nullopt: not known.
  std::optional<bool> is_source_local{};
};

enum class Match : std::uint8_t { kNo, kYes, kDepends };

// What a hook does with the packet.
enum class Ending : std::uint8_t {
  kContinue,  // no rule ended it: accepted
  kAccept,
  kDrop,
  kReset,        // refused with a TCP reset
  kUnreachable,  // refused with ICMP port unreachable
  kRedirect,     // destination NAT
  kMasquerade,
};

// A rule that says something about this packet: it asked a set, or compared the source or the
// interface, or it acted. Rules of other families and protocols, and jumps that every new flow
// takes, are left out.
struct WalkStep {
  const Rule* rule = nullptr;
  Match match = Match::kNo;
  bool is_taken = false;  // where it depends: whether the walk continues as if it matched
  // The last set that it asked, and the key; its element there, if there is one.
  const struct TableSet* set = nullptr;
  Element key{};
  const Element* element = nullptr;
  // What it ended, if it did: kContinue for a jump or goto. Of a jump that depends and is not
  // taken: how the chain would have ended.
  Ending ending = Ending::kContinue;
  Endpoint redirected{};
};

struct Walk {
  std::vector<WalkStep> steps;
  Ending ending = Ending::kContinue;
  Endpoint destination;  // after it
};

using ElementSet = std::set<Element, ElementKeyLess>;

// Runs the base chain `hook` of our table. The steps point into `rules` and `elements`.
Walk walk_hook(std::string_view hook, std::span<const Rule> rules, const ElementSet& elements,
               const Packet& packet);

}  // namespace ipvs
