// SPDX-License-Identifier: Apache-2.0
//
// What bash, zsh and fish complete, from the table of options. test/packaging/completions has real
// shells complete with it.
#include <catch2/catch_test_macros.hpp>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "config/options.hpp"
#include "config/values.hpp"
#include "test/docs/pages.hpp"

namespace {

constexpr const char* kFolder = "packaging/debian/completions/";
constexpr const char* kHead =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# Generated from the tables in config/ by test/docs/write_pages. Do not edit.\n";
constexpr const char* kPlan = "say what a start would change in the kernel";
constexpr const char* kCleanup = "remove everything that kube-ipvs created in the kernel";

enum class Value { kNone, kWords, kFile, kDirectory, kText };

Value value_of(const config::Option& option) {
  if (option.words != nullptr) return Value::kWords;
  if (option.placeholder == "FILE") return Value::kFile;
  if (option.placeholder == "DIR") return Value::kDirectory;
  return option.placeholder.empty() ? Value::kNone : Value::kText;
}

// The command that the flag belongs to; "": every one.
std::string_view command_of(const config::Option& option) {
  static const std::set<std::string_view> kOfCleanup{"handover", "dry-run"};
  if (kOfCleanup.contains(option.flag)) return "cleanup";
  return option.flag == "against-kernel" ? "plan" : "";
}

std::string words_of(const config::Option& option) {
  std::string text;
  for (const std::string_view word : option.words()) {
    text += (text.empty() ? "" : " ") + std::string(word);
  }
  return text;
}

// `use(option, name)` for each name of each flag, aliases included.
template <typename Use>
void for_each_flag(const Use& use) {
  for (const config::Option& option : config::options()) {
    if (option.flag.empty()) continue;
    use(option, std::string(option.flag));
    if (!option.alias.empty()) use(option, std::string(option.alias));
  }
}

std::string short_form(const config::Option& option) {
  if (option.flag == "v") return "-v";
  return option.flag == "help" ? "-h" : "";
}

// --- bash ----------------------------------------------------------------------------------------

std::string flags_of(std::string_view command) {
  std::string flags;
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (command_of(option) == command) flags += (flags.empty() ? "--" : " --") + name;
  });
  return flags;
}

// A pattern of `case` for all flags with such a value.
std::string bash_pattern(Value value) {
  std::string pattern;
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (value_of(option) != value) return;
    if (!short_form(option).empty()) pattern += (pattern.empty() ? "" : " | ") + short_form(option);
    pattern += (pattern.empty() ? "--" : " | --") + name;
  });
  return pattern;
}

std::string bash_page() {
  std::string page = kHead;
  page += R"(# shellcheck shell=bash

_kube_ipvs() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' flags
  # "--name=value" is three words here.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  COMPREPLY=()
  case $prev in
)";
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (value_of(option) == Value::kWords) {
      page += "    --" + name + ") words='" + words_of(option) + "' ;;\n";
    }
  });
  page += "    " + bash_pattern(Value::kFile) + R"()
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return
      ;;
    )" + bash_pattern(Value::kDirectory) +
          R"()
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    )" + std::regex_replace(bash_pattern(Value::kText), std::regex(R"( \| )"), " | \\\n      ") +
          R"()
      return
      ;;
  esac
  if [[ -z $words ]]; then
    flags=')" +
          flags_of("") + R"('
    case ${COMP_WORDS[1]} in
      plan) flags+=' )" +
          flags_of("plan") + R"(' ;;
      cleanup) flags+=' )" +
          flags_of("cleanup") + R"(' ;;
    esac
    if [[ $cur == -* ]]; then
      words=$flags
    elif ((COMP_CWORD == 1)); then
      words='plan cleanup'
    fi
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _kube_ipvs kube-ipvs
)";
  return page;
}

// --- zsh -----------------------------------------------------------------------------------------

std::string zsh_action(const config::Option& option) {
  switch (value_of(option)) {
    case Value::kWords:
      return "(" + words_of(option) + ")";
    case Value::kFile:
      return "_files";
    case Value::kDirectory:
      return "_files -/";
    default:
      return " ";
  }
}

// In an optspec of _arguments, a colon and brackets have a meaning; in single quotes, a quote.
std::string zsh_text(std::string_view text) {
  const std::string escaped =
      std::regex_replace(std::string(text), std::regex(R"([\[\]:\\])"), R"(\$&)");
  return std::regex_replace(escaped, std::regex("'"), R"('\'')");
}

std::string zsh_specs(std::string_view command) {
  std::string specs;
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (command_of(option) != command) return;
    const bool has_value = value_of(option) != Value::kNone;
    std::string spec = "[" + zsh_text(option.help) + "]";
    if (has_value) spec += ":" + zsh_text(option.placeholder) + ":" + zsh_action(option);
    const std::string once = config::has_items(option.type) ? "*" : "";
    const std::string sign = has_value ? "=" : "";
    specs += "    '" + once + "--" + name + sign + spec + "'\n";
    if (!short_form(option).empty()) specs += "    '" + short_form(option) + spec + "'\n";
  });
  return specs;
}

std::string zsh_page() {
  std::string page = "#compdef kube-ipvs\n";
  page += kHead;
  page += "\n_kube_ipvs() {\n  local -a flags=(\n" + zsh_specs("") +
          "  )\n  case $words[2] in\n    plan) flags+=(\n" + zsh_specs("plan") +
          "    ) ;;\n    cleanup) flags+=(\n" + zsh_specs("cleanup") +
          "    ) ;;\n  esac\n  _arguments $flags '1:: :((plan\\:\"" + kPlan + "\" cleanup\\:\"" +
          kCleanup + "\"))'\n}\n\n_kube_ipvs \"$@\"\n";
  return page;
}

// --- fish ----------------------------------------------------------------------------------------

std::string fish_text(std::string_view text) {
  return "'" + std::regex_replace(std::string(text), std::regex(R"(['\\])"), R"(\$&)") + "'";
}

std::string fish_value(const config::Option& option) {
  switch (value_of(option)) {
    case Value::kNone:
      return "";
    case Value::kWords:
      return " -x -a " + fish_text(words_of(option));
    case Value::kFile:
      return " -r -F";
    case Value::kDirectory:
      return " -x -a '(__fish_complete_directories)'";
    case Value::kText:
      return " -x";
  }
  return "";
}

std::string fish_page() {
  std::string page = kHead;
  page += "\ncomplete -c kube-ipvs -f\n";
  for (const auto& [command, help] : {std::pair{"plan", kPlan}, std::pair{"cleanup", kCleanup}}) {
    page += std::string("complete -c kube-ipvs -n __fish_use_subcommand -a ") + command + " -d " +
            fish_text(help) + "\n";
  }
  for_each_flag([&](const config::Option& option, const std::string& name) {
    page += "complete -c kube-ipvs";
    if (const std::string command(command_of(option)); !command.empty()) {
      page += " -n '__fish_seen_subcommand_from " + command + "'";
    }
    if (!short_form(option).empty()) page += " -s " + short_form(option).substr(1);
    page += " -l " + name + fish_value(option) + " -d " + fish_text(option.help) + "\n";
  });
  return page;
}

}  // namespace

TEST_CASE("the page of completions for bash is what the table of options says (19.3)") {
  pages::compare(kFolder + std::string("kube-ipvs.bash"), bash_page());
}

TEST_CASE("the page of completions for zsh is what the table of options says (19.3)") {
  pages::compare(kFolder + std::string("kube-ipvs.zsh"), zsh_page());
}

TEST_CASE("the page of completions for fish is what the table of options says (19.3)") {
  pages::compare(kFolder + std::string("kube-ipvs.fish"), fish_page());
}
