// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/cleanup.hpp"

#include <array>
#include <utility>

namespace ipvs {

std::string text(const CleanupStep& step, bool dry_run) {
  // In the order of CleanupStep::Verb: "would" and the first, or the second.
  static constexpr std::array<std::pair<const char*, const char*>, 4> kVerbs = {{
      {"remove", "removed"},
      {"move", "moved"},
      {"restore", "restored"},
      {"leave", "left"},
  }};
  const auto& [infinitive, past] = kVerbs.at(static_cast<std::size_t>(step.verb));
  return (dry_run ? std::string("would ") + infinitive : std::string(past)) + " " + step.what;
}

}  // namespace ipvs
