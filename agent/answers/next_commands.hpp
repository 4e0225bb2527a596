// SPDX-License-Identifier: Apache-2.0
//
// `next`: the command lines by which a person looks further, ready to paste: ipvsadm, nft,
// conntrack, ss, tcpdump and pwru, for each entrance of what is in question. They read only. Pure.
//
// A line is made of addresses, numbers and names of our sets: nothing of an object's text is in it.
//
// JSON:
//   { "notes": [TEXT...], "omitted": N,
//     "entrances": [ { "to", "protocol", "service", "port", "entrance",
//                      "commands": [ { "tool", "line", "shows" } ] } ] }
#pragma once

#include <boost/json/object.hpp>
#include <boost/system/result.hpp>
#include <string>
#include <vector>

#include "agent/answers/explain.hpp"

namespace agent {

struct NextCommand {
  std::string tool{};   // "ipvsadm"
  std::string line{};   // for a shell
  std::string shows{};  // what it answers
};

struct NextOfEntrance {
  ipvs::Endpoint to{};
  ipvs::Protocol protocol = ipvs::Protocol::kTcp;
  std::string service{}, port{}, entrance{};  // as in Way
  std::vector<NextCommand> commands{};
};

struct NextCommands {
  std::vector<std::string> notes{};
  std::vector<NextOfEntrance> entrances{};
  std::size_t omitted = 0;  // of more than kMostWays
};

// An error: what the question names does not exist. `from` of the question does not matter.
[[nodiscard]] boost::system::result<NextCommands, BadQuestion> next_commands(
    const Question& question, const ExplainView& view);

boost::json::object to_json(const NextCommands& next);

}  // namespace agent
