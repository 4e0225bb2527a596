// SPDX-License-Identifier: Apache-2.0
//
// Command lines of kube-ipvs on the host Node-A, and what becomes of them.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <initializer_list>
#include <string>
#include <vector>

#include "config/parse.hpp"

namespace config::test {

using Lines = std::vector<std::string>;

inline Environment node_a() {
  Environment environment;
  environment.host_name = "Node-A";
  environment.load_file = [](const std::string& path) { return load_yaml_text("", path); };
  return environment;
}

inline ParseOutcome run(std::initializer_list<const char*> words,
                        const Environment& environment = node_a()) {
  std::vector<const char*> argv = {"kube-ipvs"};
  argv.insert(argv.end(), words);
  return parse(static_cast<int>(argv.size()), argv.data(), environment);
}

inline Config good(std::initializer_list<const char*> words,
                   const Environment& environment = node_a()) {
  ParseOutcome outcome = run(words, environment);
  for (const Fault& fault : outcome.faults) UNSCOPED_INFO(fault.text());
  REQUIRE(outcome.config.has_value());
  return *outcome.config;
}

inline std::vector<std::string> faults(std::initializer_list<const char*> words,
                                       const Environment& environment = node_a()) {
  const ParseOutcome outcome = run(words, environment);
  CHECK_FALSE(outcome.config.has_value());
  std::vector<std::string> out;
  for (const Fault& fault : outcome.faults) out.push_back(fault.text());
  return out;
}

}  // namespace config::test
