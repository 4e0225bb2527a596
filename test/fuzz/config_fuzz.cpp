// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as YAML and as a configuration file: never a crash or a leak, no fault without a place,
// and what was taken reads back as the same Config.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/parse.hpp"
#include "config/yaml.hpp"
#include "test/config/config_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // reinterpret_cast: libFuzzer's bytes are our characters.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const config::YamlFile file =
      config::load_yaml_text(text, "fuzz", {.max_bytes = 1u << 16, .multiple_documents = true});
  for (const config::YamlFault& fault : file.faults) {
    if (fault.what.empty() || fault.line < 0 || fault.column < 0) std::abort();
  }
  config::Environment environment;
  environment.host_name = "node-a";
  const config::ParseOutcome outcome = config::parse_file_text(text, "fuzz", environment);
  if (outcome.config.has_value() != outcome.faults.empty()) std::abort();
  if (!outcome.config) return 0;
  config::Config expected = *outcome.config;
  expected.warnings.clear();
  config::ParseOutcome again =
      config::parse_file_text(config::to_yaml(expected), "again", environment);
  if (!again.config) std::abort();
  again.config->warnings.clear();
  if (*again.config != expected) std::abort();
  return 0;
}
