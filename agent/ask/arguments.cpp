// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/arguments.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <utility>

#include "config/printable.hpp"
#include "config/values.hpp"

namespace agent {
namespace {

constexpr std::size_t kMostShown = 128;

bool contains(const std::vector<std::string_view>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string usage(const config::Command& command) {
  return "usage: kube-ipvs " + std::string(command.name) +
         (command.arguments.empty() ? "" : " " + std::string(command.arguments)) + " [OPTIONS]";
}

std::string fault_of_words(const config::Command& command, const std::vector<std::string>& words) {
  if (words.size() > command.most) {
    return "unexpected argument " + config::printable_quoted(words[command.most]) + "; " +
           usage(command);
  }
  if (words.size() < command.least) return "an argument is missing; " + usage(command);
  if (!words.empty() && !command.first_words.empty() &&
      !contains(command.first_words, words.front())) {
    return config::printable_quoted(words.front()) +
           " is not one of: " + config::join(command.first_words);
  }
  return {};
}

}  // namespace

ReadArguments read_arguments(const config::Command& command, int argc, const char* const* argv) {
  ReadArguments read;
  CLI::App app{std::string(command.help), "kube-ipvs " + std::string(command.name)};
  std::vector<std::string> words;
  app.add_option("arguments", words, std::string(command.arguments))->group("");
  std::map<std::string, std::string> values;
  std::map<std::string, bool> flags;
  for (const config::CommandOption& option : command.options) {
    const std::string flag(option.flag);
    const std::string names =
        (option.letter != 0 ? std::string("-") + option.letter + "," : "") + "--" + flag;
    if (option.placeholder.empty()) {
      app.add_flag(names, flags[flag], std::string(option.help));
    } else {
      app.add_option(names, values[flag], std::string(option.help))
          ->type_name(std::string(option.placeholder))
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
  try {
    app.parse(argc - 1, argv + 1);  // without the program's name: the command's is in its place
  } catch (const CLI::CallForHelp&) {
    read.help = usage(command) + "\n\n" + app.help();
    return read;
  } catch (const CLI::ParseError& error) {
    read.fault = config::printable(error.what(), kMostShown) + std::string("; ") + usage(command);
    return read;
  }
  read.fault = fault_of_words(command, words);
  read.arguments.words = std::move(words);
  for (const config::CommandOption& option : command.options) {
    const std::string flag(option.flag);
    if (app.count("--" + flag) == 0) continue;
    if (option.placeholder.empty()) {
      if (flags[flag]) read.arguments.options[flag] = "true";
      continue;
    }
    const std::string& value = values[flag];
    if (!option.words.empty() && !contains(option.words, value) && read.fault.empty()) {
      read.fault = "--" + flag + ": " + config::printable_quoted(value) +
                   " is not one of: " + config::join(option.words);
    }
    read.arguments.options[flag] = value;
  }
  return read;
}

std::optional<long> seconds_of(const std::string& text) {
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  const auto parsed = config::parse_duration(is_number ? text + "s" : text);
  if (!parsed) return std::nullopt;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*parsed).count();
  return seconds < 1 ? std::nullopt : std::optional<long>(seconds);
}

}  // namespace agent
