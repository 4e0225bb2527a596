// SPDX-License-Identifier: Apache-2.0
//
// The command line: flags in the forms Go programs take, so that kube-proxy's manifests work as
// they are.
//   --name=value  --name value  --bool  --bool=false  -v=2  -v2  -v 2   "_" for "-" in names
// A flag given twice: the last one counts; for lists they add up.
#pragma once

#include <string>
#include <vector>

#include "config/setting.hpp"

namespace config {

struct CommandLine {
  Settings settings;
  std::string config_file;  // --config; "" for none
  bool help = false;
  bool version = false;
  std::vector<std::string> words;  // what is no flag
};

CommandLine read_flags(int argc, const char* const* argv);

}  // namespace config
