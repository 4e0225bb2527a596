// SPDX-License-Identifier: Apache-2.0
//
// For tests and fuzzing: the text of a configuration file to a Config; config/write.hpp is for the
// other direction.
#pragma once

#include <string>
#include <string_view>

#include "config/file.hpp"
#include "config/parse.hpp"
#include "config/write.hpp"

namespace config {

// Parses `text` as the file `name` given by `--config`, without other flags. Replaces
// `environment.load_file`.
inline ParseOutcome parse_file_text(std::string_view text, const std::string& name,
                                    Environment environment) {
  environment.load_file = [text](const std::string& path) { return load_yaml_text(text, path); };
  const std::string flag = "--config=" + name;
  const char* const argv[] = {"kube-ipvs", flag.c_str()};
  return parse(2, argv, environment);
}

}  // namespace config
