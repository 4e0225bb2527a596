// SPDX-License-Identifier: Apache-2.0
//
// kube-ipvs status --peers: asks the agents of other nodes what they have planned (GET /plan-digest
// on the port of --healthz-bind-address), and says which node differs or lags.
//
// Blocks; for commands, not for the agent. All peers are asked at once, with 3 s for each.
// Errors: a peer that does not answer is a row that says so.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/ask/screens.hpp"
#include "config/config.hpp"

namespace agent {

// What one node says.
struct PeerAnswer {
  std::string address{};  // as asked; "": this node
  std::string node{};
  std::string version{};        // of kube-ipvs
  std::string digest{};         // "": it did not answer
  std::int64_t programmed = 0;  // resource version
  bool is_settled = false;      // nothing is left to be done
  std::string fault{};          // why it did not answer
};

// From the fields of /plan-digest, which /v1/status has, too.
PeerAnswer peer_answer(const boost::json::value& said);

struct ReadPeers {
  std::vector<config::HostPort> peers{};
  std::string fault{};  // one line naming the part of the list that is wrong; "": none
};
// "10.0.0.1,10.0.0.2:10256,[fd00::1]": without a port 10256. Parts may be separated by blanks, too.
ReadPeers read_peers(const std::string& text);

// In the order of `peers`.
std::vector<PeerAnswer> ask_peers(const std::vector<config::HostPort>& peers);

// The digest that more than half of those who answered have; "": there is none.
std::string digest_of_most(const std::vector<PeerAnswer>& answers);
// Every node answered, and all have the same digest.
bool are_equal(const std::vector<PeerAnswer>& answers);

// {"kind": "PeerList", "equal": whether all have, "items": [{"node", "digest", "equal", ...}]}
boost::json::value peers_json(const std::vector<PeerAnswer>& answers);
std::string peers_screen(const boost::json::value& answer, const Look& look);

}  // namespace agent
