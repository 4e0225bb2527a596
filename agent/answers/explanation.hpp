// SPDX-License-Identifier: Apache-2.0
//
// The answer of `explain`, as values, and as JSON.
//
// JSON (each member is always there, "" or [] where it says nothing):
//
//   { "notes": [TEXT...],            what holds for the whole: addresses that are not served, ...
//     "omitted": N,                  ways that are left out because there are too many
//     "ways": [
//       { "to": "192.0.2.1:80", "protocol": "TCP", "service": "ns/name", "port": "http",
//         "entrance": "load balancer IP",
//         "from": "203.0.113.2", "entry": "outside", "client": TEXT,
//         "steps": [ { "place", "chain", "rule", "set", "element", "matched", "service", "explanation" } ],
//         "verdict": "delivered", "reason": TEXT, "depends": [TEXT...],
//         "server": "TCP 192.0.2.1:80", "scheduler": "rr", "flags": [TEXT...], "persistence_seconds": 0,
//         "endpoints": [ { "endpoint", "pod", "weight", "state", "node", "is_masqueraded", "source_seen" } ],
//         "endpoints_omitted": N,
//         "is_masqueraded": "yes", "source_seen": TEXT } ] }
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/nftables/walk.hpp"
#include "ipvs/state/model.hpp"

namespace agent {

enum class Verdict : std::uint8_t {
  kDelivered,  // to an endpoint
  kRefused,    // with a TCP reset or ICMP
  kDropped,
  kForeign,  // not ours: it goes on as if we were not here
  kHost,     // to this host's own sockets
};

// By which way a packet enters this node.
enum class Entry : std::uint8_t { kUnknown, kOutside, kPod, kHost };

// Yes, no; or the source decides, which is not known.
using Certainty = ipvs::Match;

std::string_view name_of(Verdict verdict);      // "delivered"
std::string_view name_of(Entry entry);          // "outside", "pod", "host", "unknown"
std::string_view name_of(Certainty certainty);  // "yes", "no", "depends"

struct ExplainStep {
  std::string place{};  // "prerouting -120", "routing", "IPVS", "forward"
  std::string chain{};  // of our table; "" where it is none
  std::string rule{};
  std::string set{};
  std::string element{};  // as nft writes it
  Certainty matched = Certainty::kNo;
  std::string service{};  // that wants the element
  std::string explanation{};
};

struct EndpointOutcome {
  ipvs::Endpoint endpoint{};
  std::string pod{};
  std::uint32_t weight = 0;
  bool is_here = false;  // on this node
  Certainty is_masqueraded = Certainty::kNo;
  std::string source_seen{};  // an address, or words
  bool takes_new() const { return weight != 0; }
};

// The way of one kind of packet.
struct Way {
  ipvs::Endpoint to{};
  ipvs::Protocol protocol = ipvs::Protocol::kTcp;
  std::string service{};   // "ns/name"; "": none has it
  std::string port{};      // its name, or else its number
  std::string entrance{};  // "cluster IP", "node port", ...; "": none
  std::string from{};      // the source address; "": not known
  Entry entry = Entry::kUnknown;
  std::string client{};  // who that is, and why
  std::vector<ExplainStep> steps{};
  Verdict verdict = Verdict::kForeign;
  std::string reason{};                // of the verdict, one sentence
  std::vector<std::string> depends{};  // what would be otherwise, and where
  // Of IPVS; "" where it does not take the packet.
  std::string server{};
  std::string scheduler{};
  std::vector<std::string> flags{};
  std::uint32_t persistence_seconds = 0;
  std::vector<EndpointOutcome> endpoints{};
  std::size_t endpoints_omitted = 0;
  Certainty is_masqueraded = Certainty::kNo;
  std::string source_seen{};
};

struct Explanation {
  std::vector<std::string> notes{};
  std::vector<Way> ways{};
  std::size_t omitted = 0;
};

boost::json::object to_json(const Explanation& explanation);

}  // namespace agent
