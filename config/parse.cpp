// SPDX-License-Identifier: Apache-2.0
#include "config/parse.hpp"

#include <algorithm>

#include "config/file.hpp"
#include "config/flags.hpp"
#include "config/validate.hpp"
#include "config/values.hpp"

#ifndef KUBE_IPVS_VERSION
#define KUBE_IPVS_VERSION "unknown"
#endif

namespace config {
namespace {

// The first word is a command, the rest are for it.
void take_words(const std::vector<std::string>& words, const Environment& environment,
                ParseOutcome& outcome) {
  if (words.empty()) return;
  const std::string& first = words.front();
  std::vector<std::string_view> names;
  for (const Command& command : environment.commands) names.push_back(command.name);
  if (std::find(names.begin(), names.end(), first) == names.end()) {
    std::string what = "unexpected argument \"" + first + "\"";
    if (!names.empty()) what = "unknown command \"" + first + "\"; known: " + join(names);
    outcome.faults.push_back({"command line", std::move(what)});
    return;
  }
  outcome.command = first;
  outcome.arguments.assign(words.begin() + 1, words.end());
}

void finish(const std::vector<Settings>& layers, const Environment& environment,
            ParseOutcome& outcome) {
  Checked checked = apply_and_validate(layers, environment);
  outcome.faults.insert(outcome.faults.end(), checked.faults.begin(), checked.faults.end());
  if (outcome.faults.empty()) outcome.config = std::move(checked.config);
}

}  // namespace

ParseOutcome parse(int argc, const char* const* argv, const Environment& environment) {
  ParseOutcome outcome;
  CommandLine line = read_flags(argc, argv);
  if (line.help) {
    outcome.print = help_text(environment);
    return outcome;
  }
  if (line.version) {
    outcome.print = "kube-ipvs " KUBE_IPVS_VERSION "\n";
    return outcome;
  }
  take_words(line.words, environment, outcome);
  std::vector<Settings> layers;
  if (!line.config_file.empty()) {
    const YamlFile file = environment.load_file ? environment.load_file(line.config_file)
                                                : load_yaml_file(line.config_file);
    layers.push_back(read_file(file, line.config_file));
  }
  layers.push_back(std::move(line.settings));
  finish(layers, environment, outcome);
  return outcome;
}

ParseOutcome parse_file_text(std::string_view text, const std::string& name,
                             const Environment& environment) {
  ParseOutcome outcome;
  finish({read_file(load_yaml_text(text, name), name)}, environment, outcome);
  return outcome;
}

}  // namespace config
