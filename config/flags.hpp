// SPDX-License-Identifier: Apache-2.0
//
// Reads the command line. Flags have the forms that Go programs accept, so that kube-proxy's
// manifests work unchanged:
//
//   --name=value  --name value  --bool  --bool=false  -v=2  -v2  -v 2
//
// "_" may replace "-" in names. If a flag is repeated, the last value counts; lists are joined.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/setting.hpp"

namespace config {

enum class VersionForm : std::uint8_t {
  kNone,  // not asked for
  kText,  // --version
  kRaw,   // --version=raw
};

struct CommandLine {
  Settings settings;
  std::string config_file;  // --config; "" if not given
  bool help = false;
  VersionForm version = VersionForm::kNone;
  std::vector<std::string> words;  // arguments that are not flags
};

CommandLine read_flags(int argc, const char* const* argv);

}  // namespace config
