// SPDX-License-Identifier: Apache-2.0
//
// What was given for one option, before it is understood: the step that flags and file have in
// common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/options.hpp"
#include "config/parse.hpp"

namespace config {

struct Setting {
  struct Item {
    std::string text;
    std::string where;
  };
  const Option* option = nullptr;
  std::string where;        // "--name" or "file:line:column"
  std::vector<Item> items;  // exactly one, but for lists
};

struct Settings {
  std::vector<Setting> given;
  std::vector<Fault> faults;
  std::vector<std::string> warnings;
};

// The items of "a, b,c" without blanks around them; none for "".
std::vector<std::string> split_list(std::string_view text);

}  // namespace config
