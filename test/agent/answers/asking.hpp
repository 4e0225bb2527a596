// SPDX-License-Identifier: Apache-2.0
//
// Asks explain() about a World, and says what it answers in a line.
#pragma once

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "agent/answers/explain.hpp"
#include "agent/ask/explanation_text.hpp"
#include "test/agent/answers/world.hpp"

namespace agent::test {

inline Explanation ask(const World& world, const std::string& to, const std::string& from = {},
                       const std::string& protocol = {}) {
  const auto question = parse_question({.to = to, .from = from, .protocol = protocol});
  INFO((question ? "" : question.error().what));
  REQUIRE(question.has_value());
  const auto explanation = explain(*question, world.view());
  INFO((explanation ? "" : explanation.error().what));
  REQUIRE(explanation.has_value());
  return *explanation;
}

inline Way ask_one(const World& world, const std::string& to, const std::string& from = {},
                   const std::string& protocol = {}) {
  Explanation explanation = ask(world, to, from, protocol);
  REQUIRE(explanation.ways.size() == 1);
  return explanation.ways[0];
}

inline std::string fault(const World& world, const std::string& to, const std::string& from = {}) {
  const auto explanation = explain(*parse_question({.to = to, .from = from}), world.view());
  REQUIRE_FALSE(explanation.has_value());
  return explanation.error().what;
}

// "delivered masqueraded=no web-1 web-2", "dropped by elsewhere-ips-4"; Pods with weight 0 are in
// brackets.
inline std::string outcome(const Way& way) {
  std::string text(name_of(way.verdict));
  if (way.verdict == Verdict::kDelivered) {
    text += " masqueraded=" + std::string(name_of(way.is_masqueraded));
    for (const EndpointOutcome& each : way.endpoints)
      text += each.takes_new() ? " " + each.pod : " (" + each.pod + ")";
    return text;
  }
  for (auto step = way.steps.rbegin(); step != way.steps.rend(); ++step) {
    if (step->matched != Certainty::kYes || step->set.empty()) continue;
    return text + " by " + step->set;
  }
  return text;
}

// The sets that hold something of it, in order: "virtual-ips-4 external-ips-4".
inline std::string sets_of(const Way& way) {
  std::string text;
  for (const ExplainStep& step : way.steps) {
    if (step.matched == Certainty::kYes && !step.set.empty())
      text += (text.empty() ? "" : " ") + step.set;
  }
  return text;
}

inline bool says(const Way& way, const std::string& words) {
  return std::any_of(way.steps.begin(), way.steps.end(), [&](const ExplainStep& step) {
    return step.explanation.find(words) != std::string::npos;
  });
}

struct Case {
  const char* to;
  const char* from;
  const char* expected;
};

inline void check(const World& world, const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    CAPTURE(each.to, each.from);
    const Way way = ask_one(world, each.to, each.from);
    CAPTURE(explanation_text(to_json({.ways = {way}})));
    CHECK(outcome(way) == each.expected);
  }
}

inline constexpr const char* kOutside = "198.51.100.9";
inline constexpr const char* kOutside6 = "fd00:198::9";
inline constexpr const char* kPodHere = "10.244.1.99";
inline constexpr const char* kPodHere6 = "fd00:244:1::99";
inline constexpr const char* kPodThere = "10.244.2.99";
inline constexpr const char* kHost = "203.0.113.1";
inline constexpr const char* kHost6 = "fd00:203::1";

}  // namespace agent::test
