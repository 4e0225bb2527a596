// SPDX-License-Identifier: Apache-2.0
//
// What a step of a packet's way means, in plain words: one place for all chains and sets of our
// table. Pure.
#pragma once

#include <optional>
#include <string>

#include "agent/answers/explanation.hpp"
#include "ipvs/nftables/walk.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

struct StepContext {
  const ipvs::TableRules& rules;
  const ipvs::ElementSet& elements;
  const ipvs::Packet& packet;
  std::string_view service{};          // whose port it is; "": nobody's
  std::string_view why_no_endpoint{};  // "": not known
};

// The step as text, without its place and Service.
ExplainStep words_of(const ipvs::WalkStep& step, const StepContext& context);

// What else may be, where the source decides: "a client in the cluster is led to 10.96.0.1:80".
std::string alternative_of(const ipvs::WalkStep& step, const StepContext& context);

// "192.0.2.1 . tcp . 80", without the set's name.
std::string key_text(const ipvs::Element& element);

}  // namespace agent
