// SPDX-License-Identifier: Apache-2.0
#include "config/parse.hpp"

#include <algorithm>
#include <utility>

#include "config/file.hpp"
#include "config/flags.hpp"
#include "config/help.hpp"
#include "config/validate.hpp"

#ifndef KUBE_IPVS_VERSION
#define KUBE_IPVS_VERSION "unknown"
#endif

namespace config {

ParseOutcome parse(int argc, const char* const* argv, const Environment& environment) {
  ParseOutcome outcome;
  CommandLine line = read_flags(argc, argv);
  if (line.help) {
    outcome.print = help_text();
    return outcome;
  }
  if (line.version) {
    outcome.print = "kube-ipvs " KUBE_IPVS_VERSION "\n";
    return outcome;
  }
  if (!line.words.empty()) {
    outcome.faults.push_back(
        {"command line", "unexpected argument \"" + line.words.front() + "\""});
  }
  std::vector<Settings> layers;
  if (!line.config_file.empty()) {
    const YamlFile file = environment.load_file ? environment.load_file(line.config_file)
                                                : load_yaml_file(line.config_file);
    layers.push_back(read_file(file, line.config_file));
  }
  const std::vector<Fault> faults_of_line = std::exchange(line.settings.faults, {});
  layers.push_back(std::move(line.settings));
  Checked checked = apply_and_validate(layers, environment.host_name);
  outcome.faults.insert(outcome.faults.end(), faults_of_line.begin(), faults_of_line.end());
  if (checked.config.cleanup) {
    // --cleanup needs none of the settings, so it must not fail because of one. An unknown flag may
    // mean that something else was wanted.
    for (const Fault& fault : checked.faults) {
      checked.config.warnings.push_back(fault.text() + ": not needed by --cleanup");
    }
  } else {
    outcome.faults.insert(outcome.faults.end(), checked.faults.begin(), checked.faults.end());
  }
  if (outcome.faults.empty()) outcome.config = std::move(checked.config);
  return outcome;
}

}  // namespace config
