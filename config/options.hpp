// SPDX-License-Identifier: Apache-2.0
//
// The one table of every flag and every key of the file: how it is called, what it takes, what it
// does and how it is written into a Config. The command line, the file, --help, to_yaml() and the
// checks of README and examples all read this table, so that they cannot disagree.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace config {

enum class ValueType : std::uint8_t {
  kFlag,    // --name, --name=false; in the file true or false
  kNumber,  // in the file: not quoted
  kText,
  kList,  // separated by commas; in the file also a list
};

// The headings of --help, in its order.
enum class Group : std::uint8_t { kCluster, kIpvs, kTraffic, kManifests, kHttp, kGeneral };

struct Option {
  std::string_view flag;        // without "--"
  std::string_view alias = {};  // another name of the flag
  // Where it stands in the file: "ipvs.scheduler". Empty: only a flag. `key` is kube-proxy's and is
  // good in both kinds of file, `own_key` is good in KubeIpvsConfiguration only.
  std::string_view key = {};
  std::string_view own_key = {};
  ValueType type = ValueType::kText;
  Group group = Group::kGeneral;
  std::string_view placeholder = {};  // "DURATION"
  std::string_view help = {};
  // What --help says of the default where the value itself would say little ("" is nothing to
  // read).
  std::string_view default_note = {};

  // Takes the text of the value, or of one item of a list; returns what is wrong with it, or "".
  // Null for --config, --help and --version, which are no part of a Config.
  std::string (*set)(Config&, std::string_view) = nullptr;
  // The value as text that `set` takes back (items of a list joined by commas).
  std::string (*get)(const Config&) = nullptr;
  // Lists: empties it, before the first `set`.
  void (*clear)(Config&) = nullptr;
};

std::span<const Option> options();

// What kube-proxy has and has no meaning here: taken with one warning, so that a kube-proxy command
// line or file works as it is.
struct IgnoredOption {
  std::string_view flag;      // "" where there is only a key
  std::string_view key = {};  // in KubeProxyConfiguration; a whole section ("conntrack") or one key
  bool takes_value = true;
  std::string_view reason = {};
  std::string_view silent = {};  // the value that asks for just what we do: no warning
};

std::span<const IgnoredOption> ignored_options();

// Flags of kube-proxy that ask it to do something else and exit. Carrying on as a daemon would be
// wrong.
bool is_refused_flag(std::string_view flag);

const Option* find_option(std::string_view flag);  // by name or alias, or null
const IgnoredOption* find_ignored(std::string_view flag);

// Every name a flag can have, for suggestions.
std::span<const std::string_view> all_flag_names();

}  // namespace config
