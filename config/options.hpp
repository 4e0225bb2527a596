// SPDX-License-Identifier: Apache-2.0
//
// The table of all flags and all keys of the file: name, type, help text, and how a value is
// written into a Config. The command line, the file, --help, config/flags.md and the tests of the
// example file all use this table, so that they cannot disagree.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace config {

enum class ValueType : std::uint8_t {
  kFlag,    // --name or --name=false; in the file: true or false
  kNumber,  // in the file: without quotes
  kText,
  kList,  // separated by commas; in the file also a YAML list
  kMap,   // "name=value" separated by commas; in the file a YAML map
};

// Several values: each is an item for `set`.
constexpr bool has_items(ValueType type) {
  return type == ValueType::kList || type == ValueType::kMap;
}

// The headings of --help, in their order.
enum class Group : std::uint8_t {
  kCluster,
  kIpvs,
  kTraffic,
  kHost,
  kManifests,
  kDns,
  kHttp,
  kGeneral
};

struct Option {
  std::string_view flag = {};   // without "--"; "": there is only the key
  char letter = 0;              // 'v', for -v; 0: none
  std::string_view alias = {};  // another name of the flag
  // Path in the file, such as "ipvs.scheduler"; both empty: only a flag. `key` is kube-proxy's and
  // is allowed in both kinds of file; `own_key` is allowed in KubeIpvsConfiguration only.
  std::string_view key = {};
  std::string_view own_key = {};
  ValueType type = ValueType::kText;
  Group group = Group::kGeneral;
  std::string_view placeholder = {};  // "DURATION"
  // "plan": only "kube-ipvs plan" takes it; "": every command.
  std::string_view command = {};
  std::string_view help = {};
  // Shown by --help in place of the default value, where that would say little (such as "").
  std::string_view default_note = {};
  // Whether another value in the file takes effect while the agent runs (config/difference.hpp) or
  // needs a restart. Unset for options without a key: a flag cannot change.
  std::optional<bool> live = {};

  // Sets the value, or adds one item of a list, from its text. Returns what is wrong with the text,
  // or "". Where it uses another value than the text says, it adds to Config::warnings what it did.
  // Null for --config, --help and --version, which are not part of a Config.
  std::string (*set)(Config&, std::string_view) = nullptr;
  // The value as text that `set` accepts (items of a list joined by commas).
  std::string (*get)(const Config&) = nullptr;
  // Lists only: empties the list before the first `set`.
  void (*clear)(Config&) = nullptr;
  // Lists only: in the file, an item may also be a map of these two keys; it is read as "A=B".
  std::array<std::string_view, 2> item_keys = {};
  // The values there are, for a shell to complete. Null: any text, or none.
  std::span<const std::string_view> (*words)() = nullptr;
  // Of a live option: whether this change of it needs a restart all the same. Null: none does.
  bool (*needs_restart)(const Config& before, const Config& after) = nullptr;
};

std::span<const Option> options();

const Option* find_option(std::string_view flag);  // by name or alias, or null

// The names of all flags, ignored ones included and aliases excluded, for suggestions.
std::span<const std::string_view> all_flag_names();

}  // namespace config
