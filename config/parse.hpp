// SPDX-License-Identifier: Apache-2.0
//
// From the command line, and the file named by --config, to one validated Config:
//
// Under the name kube-proxy (argv[0] without its directories) the defaults are those of a drop-in:
// see program_name().
//
//   argv --CLI11--> settings --+
//                              +--> Config --validate--> Config and warnings,
//   file --YAML---> settings --+                         or all faults
//
// No side effects. The only input besides the arguments is the file, read by
// `Environment::load_file`.
//
// Errors: one run reports all faults, each with its flag or file:line:column. If there is a fault,
// there is no Config. With --cleanup, faults of values and of the file are warnings: it needs none.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/help.hpp"
#include "config/yaml.hpp"

namespace config {

struct Fault {
  std::string where;  // "--ipvs-scheduler", "file:line:column" or "command line"
  std::string what;
  std::string text() const { return where + ": " + what; }
  bool operator==(const Fault&) const = default;
};

// The inputs besides the command line.
struct Environment {
  std::string host_name;                                       // as gethostname() returns it
  std::function<YamlFile(const std::string& path)> load_file;  // empty: load_yaml_file()
  std::size_t columns = kHelpColumns;                          // of the terminal that shows --help
};

struct ParseOutcome {
  std::optional<Config> config;  // empty if there are faults, or if `print` is set
  std::vector<Fault> faults;
  std::string config_file;           // --config; "" if not given
  bool is_plan = false;              // the command is plan, whose exit codes are those of diff(1)
  std::optional<std::string> print;  // text for --help or --version: print it and exit with 0
};

// The last part of argv[0]; "kube-ipvs" if that is empty.
std::string program_name(int argc, const char* const* argv);

ParseOutcome parse(int argc, const char* const* argv, const Environment& environment);

}  // namespace config
