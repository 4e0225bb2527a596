// SPDX-License-Identifier: Apache-2.0
#include "config/parse.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "config/file.hpp"
#include "config/flags.hpp"
#include "config/help.hpp"
#include "config/options.hpp"
#include "config/validate.hpp"
#include "config/version.hpp"

// Of the source, where whoever packages it says so.
#ifndef KUBE_IPVS_COMMIT
#define KUBE_IPVS_COMMIT ""
#endif

namespace config {
namespace {

#if defined(__clang__)
constexpr std::string_view kCompiler = "clang " __clang_version__;
#else
constexpr std::string_view kCompiler = "gcc " __VERSION__;
#endif
// As Go names it.
#if defined(__x86_64__)
constexpr std::string_view kArchitecture = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view kArchitecture = "arm64";
#else
constexpr std::string_view kArchitecture = "unknown";
#endif

// The command, which is the first word; without one the agent runs.
constexpr std::string_view kCleanup = "cleanup";
constexpr std::string_view kPlan = "plan";

void take_words(CommandLine& line, std::vector<Fault>& faults) {
  if (line.words.empty()) return;
  const std::string command = line.words.front();
  const bool is_command = command == kCleanup || command == kPlan;
  if (command == kCleanup) {
    line.settings.given.push_back(
        {.option = find_option(kCleanup), .where = command, .items = {{"true", command}}});
  }
  const std::size_t used = is_command ? 1 : 0;
  if (line.words.size() == used) return;
  faults.push_back({"command line", "unexpected argument \"" + line.words[used] + "\""});
}

bool is_default(const Option& option, const Config& config) {
  return option.get(config) == option.get(Config{});
}

// Flags that belong to one command.
void check_command(const Config& config, std::vector<Fault>& faults) {
  if (config.plan && config.cleanup) {
    faults.push_back({"--cleanup", "cannot be combined with plan"});
  }
  const std::string_view command = config.plan ? kPlan : config.cleanup ? kCleanup : "";
  for (const Option& option : options()) {
    if (option.command.empty() || option.command == command || is_default(option, config)) continue;
    faults.push_back({"--" + std::string(option.flag),
                      "belongs to \"kube-ipvs " + std::string(option.command) + "\""});
  }
}

// There is one difference at a time.
void check_plan(const Config& config, std::vector<Fault>& faults) {
  const bool is_other_form =
      config.plan_form != PlanForm::kSummary && config.plan_form != PlanForm::kDiff;
  const std::string form = "-o " + find_option("output")->get(config);
  if (config.against_kernel && is_other_form) {
    faults.push_back({"--against-kernel", "prints a difference: cannot be combined with " + form});
  }
  const bool is_of_kernel = config.against_kernel || config.plan_form == PlanForm::kDiff;
  if (config.compare_with.empty() && is_of_kernel && !config.node_addresses.empty()) {
    faults.push_back({"--node-addresses", "the kernel of this host is compared: it has its own"});
  }
  if (config.compare_with.empty()) return;
  if (config.against_kernel) {
    faults.push_back({"--compare-with", "cannot be combined with --against-kernel"});
  }
  if (is_other_form) {
    faults.push_back({"--compare-with", "prints a difference: cannot be combined with " + form});
  }
}

// "kube-ipvs v0.1.0". The second word is a version in the form of Kubernetes', which scripts cut out
// of the line; the first says that it is not the version of a Kubernetes.
std::string version_text() { return "kube-ipvs v" KUBE_IPVS_VERSION "\n"; }

// All that is known of the build, in the form in which kube-proxy prints it.
std::string raw_version_text() {
  const std::string version = KUBE_IPVS_VERSION;
  const std::size_t dot = version.find('.');
  const std::string rest = dot == std::string::npos ? "" : version.substr(dot + 1);
  const std::string commit = KUBE_IPVS_COMMIT;
  return "version.Info{Major:\"" + version.substr(0, dot) + "\", Minor:\"" +
         rest.substr(0, rest.find('.')) + "\", GitVersion:\"v" + version + "\"" +
         (commit.empty() ? "" : ", GitCommit:\"" + commit + "\"") + ", Compiler:\"" +
         std::string(kCompiler) + "\", Platform:\"linux/" + std::string(kArchitecture) + "\"}\n";
}

}  // namespace

std::string program_name(int argc, const char* const* argv) {
  const std::string_view path = argc > 0 && argv[0] != nullptr ? argv[0] : "";
  const std::string_view name = path.substr(path.find_last_of('/') + 1);
  return name.empty() ? "kube-ipvs" : std::string(name);
}

ParseOutcome parse(int argc, const char* const* argv, const Environment& environment) {
  ParseOutcome outcome;
  CommandLine line = read_flags(argc, argv);
  const std::string program = program_name(argc, argv);
  if (line.help) {
    outcome.print = help_text(program, environment.columns);
    return outcome;
  }
  if (line.version != VersionForm::kNone) {
    outcome.print = line.version == VersionForm::kRaw ? raw_version_text() : version_text();
    return outcome;
  }
  outcome.is_plan = !line.words.empty() && line.words.front() == kPlan;
  take_words(line, outcome.faults);
  outcome.config_file = line.config_file;
  std::vector<Settings> layers;
  if (!line.config_file.empty()) {
    const YamlFile file = environment.load_file ? environment.load_file(line.config_file)
                                                : load_yaml_file(line.config_file);
    layers.push_back(read_file(file, line.config_file));
  }
  const std::vector<Fault> faults_of_line = std::exchange(line.settings.faults, {});
  layers.push_back(std::move(line.settings));
  Checked checked = apply_and_validate(
      layers, {.host_name = environment.host_name, .as_kube_proxy = program == "kube-proxy"});
  outcome.faults.insert(outcome.faults.end(), faults_of_line.begin(), faults_of_line.end());
  checked.config.plan = outcome.is_plan;
  check_command(checked.config, outcome.faults);
  check_plan(checked.config, outcome.faults);
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
