// SPDX-License-Identifier: Apache-2.0
//
// To which addresses and ports a question leads: each entrance of a Service, a node port at each
// address that serves node ports, or the one that was named. Pure.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <vector>

#include "agent/answers/explain.hpp"

namespace agent {

struct Target {
  ipvs::Endpoint to{};
  ipvs::Protocol protocol = ipvs::Protocol::kTcp;
  bool operator==(const Target&) const = default;
};

struct Targets {
  std::vector<Target> all{};  // not empty unless a note says why
  std::vector<std::string> notes{};
};

[[nodiscard]] boost::system::result<Targets, BadQuestion> find_targets(const Question& question,
                                                                       const ExplainView& view);

}  // namespace agent
