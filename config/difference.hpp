// SPDX-License-Identifier: Apache-2.0
//
// What a changed file changes of the settings in force, and which of it takes effect without a
// restart. Pure; the table in config/options.hpp says for each option whether it does.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/options.hpp"

namespace config {

struct Difference {
  struct Change {
    const Option* option = nullptr;
    std::string before;  // as Option::get gives it
    std::string after;
    std::string text() const;  // "ipvs.scheduler: rr -> lc", with the key of the file
  };
  std::vector<Change> live;     // take effect at once
  std::vector<Change> restart;  // need a restart

  bool empty() const { return live.empty() && restart.empty(); }
  // Whether a live change is of one of these flags.
  bool has(std::initializer_list<std::string_view> flags) const;
};

// In the order of the table. Options that only flags have never differ.
Difference difference(const Config& before, const Config& after);

// "a: 1 -> 2, b: 3 -> 4".
std::string text(const std::vector<Difference::Change>& changes);

// `before` with the values that `after` has of live options, and its warnings.
Config with_live(const Config& before, const Config& after);

}  // namespace config
