// SPDX-License-Identifier: Apache-2.0
//
// Reads the command line of a question by the table of commands.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/commands.hpp"

namespace agent {

struct Arguments {
  std::vector<std::string> words{};              // after the command's name
  std::map<std::string, std::string> options{};  // by flag; "true" for one without a value

  bool has(const std::string& flag) const { return options.contains(flag); }
  std::string value(const std::string& flag, const std::string& otherwise = {}) const {
    const auto at = options.find(flag);
    return at == options.end() ? otherwise : at->second;
  }
};

struct ReadArguments {
  Arguments arguments{};
  std::string fault{};  // one line naming the argument; "": none
  std::string help{};   // to be printed instead, if it was asked for
};

ReadArguments read_arguments(const config::Command& command, int argc, const char* const* argv);

// "10m", "1h30m", "45s", "90": seconds, at least 1. nullopt: it is none.
std::optional<long> seconds_of(const std::string& text);

}  // namespace agent
