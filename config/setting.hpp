// SPDX-License-Identifier: Apache-2.0
//
// The text given for one option, not yet parsed. Both the command line and the file are read into
// settings.
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
  std::string key = {};     // as the file has it; "": a flag
  std::vector<Item> items;  // exactly one, except for lists
};

struct Settings {
  std::vector<Setting> given;
  std::vector<Fault> faults;
  std::vector<std::string> warnings;
};

// The items of "a, b,c", with blanks around them removed; no items for a blank text.
std::vector<std::string> split_list(std::string_view text);

}  // namespace config
