// SPDX-License-Identifier: Apache-2.0
//
// The commands that ask the agent of this node: one table, from which the command line is read and
// help, the manual page and completions are made.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace config {

struct CommandOption {
  std::string_view flag{};         // "namespace"
  char letter = 0;                 // 'n'; 0: none
  std::string_view placeholder{};  // "NAME"; "": it takes no value
  std::string_view help{};
  std::vector<std::string_view> words{};  // the values that are allowed; empty: any
};

struct Command {
  std::string_view name{};
  std::string_view arguments{};  // "[NAME]", as in the usage line
  std::string_view help{};
  std::size_t least = 0, most = 0;  // how many arguments
  std::vector<CommandOption> options{};
  std::vector<std::string_view> first_words{};  // what the first argument may be; empty: anything
};

std::span<const Command> commands();
// nullptr: there is no such command.
const Command* find_command(std::string_view name);

}  // namespace config
