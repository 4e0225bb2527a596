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
#include <vector>

#include "config/commands.hpp"
#include "config/options.hpp"
#include "config/values.hpp"
#include "test/docs/pages.hpp"

namespace {

constexpr const char* kFolder = "packaging/debian/completions/";
constexpr const char* kHead =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# Generated from the tables in config/ by test/docs/write_pages. Do not edit.\n";
constexpr const char* kPlan = "show what an agent would make the kernel hold";
constexpr const char* kCleanup = "remove everything that kube-ipvs created in the kernel";

enum class Value { kNone, kWords, kFile, kDirectory, kText };

Value value_of(const config::Option& option) {
  if (option.words != nullptr) return Value::kWords;
  if (option.placeholder == "FILE") return Value::kFile;
  if (option.placeholder == "DIR") return Value::kDirectory;
  return option.placeholder.empty() ? Value::kNone : Value::kText;
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
  return option.letter == 0 ? std::string() : std::string("-") + option.letter;
}

// --- bash ----------------------------------------------------------------------------------------

std::string flags_of(std::string_view command) {
  std::string flags;
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (option.command == command) flags += (flags.empty() ? "--" : " --") + name;
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

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "" : " ") + std::string(word);
  return text;
}

// "status get top ..."
std::string question_names() {
  std::string text;
  for (const config::Command& command : config::commands()) {
    text += (text.empty() ? "" : " ") + std::string(command.name);
  }
  return text;
}

// What a command that asks the agent takes, in place of the agent's flags.
std::string bash_questions() {
  std::string text;
  for (const config::Command& command : config::commands()) {
    text += "    " + std::string(command.name) + ")\n      case $prev in\n";
    std::string flags, plain;
    for (const config::CommandOption& option : command.options) {
      const std::string flag = "--" + std::string(option.flag);
      const std::string both =
          option.letter != 0 ? std::string("-") + option.letter + " | " + flag : flag;
      flags += (flags.empty() ? "" : " ") + flag;
      if (option.placeholder.empty()) continue;
      if (!option.words.empty()) {
        text += "        " + both + ") words='" + joined(option.words) + "' ;;\n";
      } else if (option.placeholder == "FILE") {
        text += "        " + both +
                ")\n          compopt -o filenames\n          mapfile -t COMPREPLY < <(compgen -f "
                "-- \"$cur\")\n          return\n          ;;\n";
      } else {
        plain += (plain.empty() ? "" : " | ") + both;
      }
    }
    if (!plain.empty()) text += "        " + plain + ") return ;;\n";
    if (!command.first_words.empty()) {
      text += "        " + std::string(command.name) + ") words='" + joined(command.first_words) +
              "' ;;\n";
    }
    text += "      esac\n      if [[ -z $words && $cur == -* ]]; then words='" + flags +
            "'; fi\n      mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
            "      return\n      ;;\n";
  }
  return text;
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
  case ${COMP_WORDS[1]} in
)";
  page += bash_questions() + "  esac\n  case $prev in\n";
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (value_of(option) != Value::kWords) return;
    const std::string letter = short_form(option).empty() ? "" : short_form(option) + " | ";
    page += "    " + letter + "--" + name + ") words='" + words_of(option) + "' ;;\n";
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
      words='plan cleanup )" +
          question_names() + R"('
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

// What stands between single quotes.
std::string zsh_quoted(const std::string& text) {
  return std::regex_replace(text, std::regex("'"), R"('\'')");
}

// In an optspec of _arguments, a colon and brackets have a meaning.
std::string zsh_text(std::string_view text) {
  return zsh_quoted(std::regex_replace(std::string(text), std::regex(R"([\[\]:\\])"), R"(\$&)"));
}

std::string zsh_specs(std::string_view command) {
  std::string specs;
  for_each_flag([&](const config::Option& option, const std::string& name) {
    if (option.command != command) return;
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

// A function for each command that asks the agent, and their list for the first word.
std::string zsh_questions() {
  std::string text;
  for (const config::Command& command : config::commands()) {
    text += "    " + std::string(command.name) +
            ")\n      shift words; ((CURRENT--))\n"
            "      _arguments \\\n";
    for (const config::CommandOption& option : command.options) {
      const std::string flag = "--" + std::string(option.flag);
      std::string spec = "[" + zsh_text(option.help) + "]";
      std::string sign;
      if (!option.placeholder.empty()) {
        const std::string action = !option.words.empty()          ? "(" + joined(option.words) + ")"
                                   : option.placeholder == "FILE" ? std::string("_files")
                                                                  : std::string(" ");
        spec += ":" + zsh_text(option.placeholder) + ":" + action;
        sign = "=";
      }
      text += "        '" + flag + sign + spec + "' \\\n";
      if (option.letter != 0) {
        text += std::string("        '-") + option.letter + spec + "' \\\n";
      }
    }
    const std::string first =
        command.first_words.empty() ? std::string(" ") : "(" + joined(command.first_words) + ")";
    text += "        '1: :" + first + "' '2: : '\n      return ;;\n";
  }
  return text;
}

// What stands between double quotes there, which are read once more.
std::string zsh_description(std::string_view text) {
  return zsh_quoted(std::regex_replace(std::string(text), std::regex(R"(["$`\\])"), R"(\$&)"));
}

std::string zsh_names() {
  std::string text;
  for (const config::Command& command : config::commands()) {
    text += " " + std::string(command.name) + "\\:\"" + zsh_description(command.help) + "\"";
  }
  return text;
}

std::string zsh_page() {
  std::string page = "#compdef kube-ipvs\n";
  page += kHead;
  page += "\n_kube_ipvs() {\n  case $words[2] in\n" + zsh_questions() + "  esac\n";
  page += "  local -a flags=(\n" + zsh_specs("") +
          "  )\n  case $words[2] in\n    plan) flags+=(\n" + zsh_specs("plan") +
          "    ) ;;\n    cleanup) flags+=(\n" + zsh_specs("cleanup") +
          "    ) ;;\n  esac\n  _arguments $flags '1:: :((plan\\:\"" + kPlan + "\" cleanup\\:\"" +
          kCleanup + "\"" + zsh_names() + "))'\n}\n\n_kube_ipvs \"$@\"\n";
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
  std::string questions;
  for (const config::Command& command : config::commands()) {
    const std::string name(command.name);
    questions += (questions.empty() ? "" : " ") + name;
    page += "complete -c kube-ipvs -n __fish_use_subcommand -a " + name + " -d " +
            fish_text(command.help) + "\n";
    const std::string seen = "complete -c kube-ipvs -n '__fish_seen_subcommand_from " + name + "'";
    if (!command.first_words.empty()) {
      page += seen + " -a " + fish_text(joined(command.first_words)) + "\n";
    }
    for (const config::CommandOption& option : command.options) {
      page += seen;
      if (option.letter != 0) page += std::string(" -s ") + option.letter;
      page += " -l " + std::string(option.flag);
      if (!option.words.empty()) {
        page += " -x -a " + fish_text(joined(option.words));
      } else if (option.placeholder == "FILE") {
        page += " -r -F";
      } else if (!option.placeholder.empty()) {
        page += " -x";
      }
      page += " -d " + fish_text(option.help) + "\n";
    }
  }
  for_each_flag([&](const config::Option& option, const std::string& name) {
    page += "complete -c kube-ipvs";
    if (option.command.empty()) {
      page += " -n 'not __fish_seen_subcommand_from " + questions + "'";
    }
    if (!option.command.empty()) {
      page += " -n '__fish_seen_subcommand_from " + std::string(option.command) + "'";
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
