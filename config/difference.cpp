// SPDX-License-Identifier: Apache-2.0
#include "config/difference.hpp"

#include <algorithm>
#include <utility>

#include "config/setting.hpp"

namespace config {
namespace {

// "" is a value, too: of an address, "disabled".
std::string shown(const std::string& value) { return value.empty() ? "\"\"" : value; }

void copy(const Option& option, const std::string& value, Config& to) {
  if (!has_items(option.type)) {
    (void)option.set(to, value);
    return;
  }
  option.clear(to);
  for (const std::string& item : split_list(value)) (void)option.set(to, item);
}

}  // namespace

std::string Difference::Change::text() const {
  const std::string key(option->own_key.empty() ? option->key : option->own_key);
  return key + ": " + shown(before) + " -> " + shown(after);
}

bool Difference::has(std::initializer_list<std::string_view> flags) const {
  return std::any_of(live.begin(), live.end(), [&](const Change& change) {
    return std::find(flags.begin(), flags.end(), change.option->flag) != flags.end();
  });
}

Difference difference(const Config& before, const Config& after) {
  Difference found;
  for (const Option& option : options()) {
    if (!option.live) continue;
    Difference::Change change{
        .option = &option, .before = option.get(before), .after = option.get(after)};
    if (change.before == change.after) continue;
    const bool restarts =
        !*option.live || (option.needs_restart != nullptr && option.needs_restart(before, after));
    (restarts ? found.restart : found.live).push_back(std::move(change));
  }
  return found;
}

std::string text(const std::vector<Difference::Change>& changes) {
  std::string all;
  for (const Difference::Change& change : changes) {
    all += (all.empty() ? "" : ", ") + change.text();
  }
  return all;
}

Config with_live(const Config& before, const Config& after) {
  Config config = before;
  for (const Difference::Change& change : difference(before, after).live) {
    copy(*change.option, change.after, config);
  }
  config.warnings = after.warnings;
  return config;
}

}  // namespace config
