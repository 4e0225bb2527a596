// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the command line of a question, an argument a line, after a first line with the command's
// number. Never a crash; a fault is one line without control characters; what is accepted is what the
// table of commands allows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/ask/arguments.hpp"
#include "config/commands.hpp"
#include "test/fuzz/require.hpp"

namespace {

using fuzz::is_one_line;
using fuzz::require;

void check(const config::Command& command, const agent::Arguments& arguments) {
  require(arguments.words.size() >= command.least && arguments.words.size() <= command.most);
  for (const auto& given : arguments.options) {
    const std::string& value = given.second;
    const auto option = std::find_if(command.options.begin(), command.options.end(),
                                     [&](const auto& each) { return each.flag == given.first; });
    require(option != command.options.end());
    const auto& words = option->words;
    require(words.empty() || std::find(words.begin(), words.end(), value) != words.end());
    (void)agent::seconds_of(value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto all = config::commands();
  const config::Command& command = all[data[0] % all.size()];
  // reinterpret_cast: libFuzzer's bytes are our characters. An argument ends at its first zero byte.
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  std::vector<std::string> words{"kube-ipvs", std::string(command.name)};
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  std::vector<const char*> argv;
  argv.reserve(words.size());
  for (const std::string& word : words) argv.push_back(word.c_str());
  const agent::ReadArguments read =
      agent::read_arguments(command, static_cast<int>(argv.size()), argv.data());
  require(is_one_line(read.fault));
  if (read.fault.empty() && read.help.empty()) check(command, read.arguments);
  return 0;
}
