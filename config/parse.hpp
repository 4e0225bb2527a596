// SPDX-License-Identifier: Apache-2.0
//
// From the command line, and the file it names, to one validated Config.
//
//   argv --CLI11--> settings --+
//                              +--> Config --validate--> Config, warnings
//   file --YAML---> settings --+                         or every fault there is
//
// Pure but for reading the file, and that is injected. Errors: all faults of one run are told at
// once, each with the flag or file:line:column it stands at; then there is no Config.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/yaml.hpp"

namespace config {

struct Fault {
  std::string where;  // "--ipvs-scheduler" or "file:line:column"
  std::string what;
  std::string text() const { return where + ": " + what; }
  bool operator==(const Fault&) const = default;
};

// A word before or after the flags that asks for something other than the daemon ("plan").
struct Command {
  std::string name;
  std::string arguments;  // for --help: "SERVICE"
  std::string help;
};

// What the outcome depends on besides the command line.
struct Environment {
  std::string host_name;  // as gethostname() gives it
  // Families the kernel supports.
  bool ipv4 = true;
  bool ipv6 = true;
  std::vector<Command> commands;
  std::function<YamlFile(const std::string& path)> load_file;  // not set: load_yaml_file()
};

struct ParseOutcome {
  std::optional<Config> config;  // nothing when there are faults or something to print
  std::vector<Fault> faults;
  std::optional<std::string> print;  // the text of --help or --version: print it and exit with 0
  // The command that was given, of Environment::commands, and the words after it.
  std::string command;
  std::vector<std::string> arguments;
};

ParseOutcome parse(int argc, const char* const* argv, const Environment& environment);

// A file's text alone, as `--config` would read it, with no flags.
ParseOutcome parse_file_text(std::string_view text, const std::string& name,
                             const Environment& environment);

// What --help prints.
std::string help_text(const Environment& environment);

// A KubeIpvsConfiguration with every key, which parses back to the same Config. Secrets: it holds
// none, only the path of the kubeconfig.
std::string to_yaml(const Config& config);

}  // namespace config
