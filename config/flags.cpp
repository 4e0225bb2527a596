// SPDX-License-Identifier: Apache-2.0
#include "config/flags.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "config/ignored_options.hpp"
#include "config/values.hpp"

namespace config {
namespace {

// Whether the flag takes a value; nullopt if it is unknown.
std::optional<bool> takes_value(std::string_view name) {
  if (const Option* option = find_option(name)) return option->type != ValueType::kFlag;
  if (const IgnoredOption* ignored = find_ignored(name)) return ignored->type != IgnoredType::kFlag;
  return std::nullopt;
}

// Rewrites Go's forms of flags to forms that CLI11 reads the same way: "--name" "value" for a flag
// with a value (CLI11 would look for the value of "--name=" in the next word) and "--name=true" for
// a flag without one.
class GoForms {
 public:
  GoForms(int argc, const char* const* argv, std::vector<Fault>& faults) : faults_(faults) {
    for (int i = 1; i < argc; ++i) words_.emplace_back(argv[i]);
  }

  std::vector<std::string> rewrite() {
    for (; at_ < words_.size() && words_[at_] != "--"; ++at_) {
      const std::string& word = words_[at_];
      if (word.starts_with("--")) {
        rewrite_flag(word.substr(2));
      } else if (const Option* option = find_short(word)) {
        std::string value = word.substr(2);
        if (!value.empty() && value[0] != '=') value = "=" + value;
        rewrite_flag(std::string(option->flag) + value);
      } else {
        out_.push_back(word);
      }
    }
    for (; at_ < words_.size(); ++at_) out_.push_back(words_[at_]);
    return std::move(out_);
  }

 private:
  // Of "-v", "-v=2" and "-v2". A flag with one dash missing is none of these.
  static const Option* find_short(std::string_view word) {
    if (word.size() < 2 || word[0] != '-') return nullptr;
    const std::string_view rest = word.substr(1);
    const std::string_view name = rest.substr(0, rest.find('='));
    if (name.size() > 1 && takes_value(name)) return nullptr;
    for (const Option& option : options()) {
      if (option.letter != rest[0]) continue;
      return option.type == ValueType::kFlag && rest.size() > 1 ? nullptr : &option;
    }
    return nullptr;
  }

  void rewrite_flag(const std::string& flag) {
    const std::size_t equals = flag.find('=');
    std::string name = flag.substr(0, equals);
    std::replace(name.begin(), name.end(), '_', '-');
    const auto with_value = takes_value(name);
    if (!with_value) {
      out_.push_back("--" + flag);
    } else if (!*with_value && flag.ends_with('=')) {
      // CLI11 would read "--name=" as "--name".
      faults_.push_back({"--" + name, "\"\" is neither true nor false"});
    } else if (!*with_value) {
      out_.push_back("--" + name + (equals == std::string::npos ? "=true" : flag.substr(equals)));
    } else if (equals != std::string::npos) {
      out_.push_back("--" + name);
      out_.push_back(flag.substr(equals + 1));
    } else if (at_ + 1 < words_.size()) {
      out_.push_back("--" + name);
      out_.push_back(words_[++at_]);
    } else {
      faults_.push_back({"--" + name, "a value is missing"});
    }
  }

  std::vector<std::string> words_;
  std::size_t at_ = 0;
  std::vector<std::string> out_;
  std::vector<Fault>& faults_;
};

std::string cli_name(std::string_view flag) { return "--" + std::string(flag); }

// Declares all flags to CLI11. Values stay text; config/values.hpp parses them, as for the file.
void declare(CLI::App& app) {
  app.set_help_flag();
  app.allow_extras();
  const auto add = [&app](const std::string& names, bool with_value) {
    CLI::Option* option = with_value ? app.add_option(names) : app.add_flag(names);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
  };
  for (const Option& option : options()) {
    if (option.flag.empty()) continue;
    std::string names = cli_name(option.flag);
    if (!option.alias.empty()) names += "," + cli_name(option.alias);
    add(names, option.type != ValueType::kFlag);
  }
  for (const IgnoredOption& ignored : ignored_options()) {
    if (!ignored.flag.empty()) add(cli_name(ignored.flag), ignored.type != IgnoredType::kFlag);
  }
}

void explain_unknown(const std::string& word, std::vector<Fault>& faults) {
  const std::string flag = word.substr(0, word.find('='));
  std::string name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
  std::replace(name.begin(), name.end(), '_', '-');
  // "-config" is a known flag with one dash missing.
  const bool known = takes_value(name).has_value();
  const std::string_view near = known ? std::string_view(name) : nearest(name, all_flag_names());
  faults.push_back(
      {"unknown flag",
       flag + (near.empty() ? "; see --help" : "; did you mean --" + std::string(near) + "?")});
}

// The arguments that CLI11 did not recognise: unknown flags, and words.
void take_rest(const std::vector<std::string>& rest, CommandLine& line) {
  bool after_unknown = false;
  bool only_words = false;
  for (const std::string& word : rest) {
    if (word == "--" && !only_words) {
      only_words = true;
    } else if (!only_words && word.size() > 1 && word[0] == '-') {
      explain_unknown(word, line.settings.faults);
      after_unknown = word.find('=') == std::string::npos;
      continue;
    } else if (!after_unknown) {  // otherwise probably the value of that flag
      line.words.push_back(word);
    }
    after_unknown = false;
  }
}

// As component-base/version/verflag: true, false, raw, or a version that is to be reported.
void take_version(const std::string& text, CommandLine& line) {
  const auto value = parse_bool(text);
  line.version = VersionForm::kNone;
  if (text == "raw") {
    line.version = VersionForm::kRaw;
  } else if (value) {
    if (*value) line.version = VersionForm::kText;
  } else if (text.size() > 1 && text[0] == 'v' && text[1] >= '0' && text[1] <= '9') {
    line.settings.warnings.push_back("--version: ignored: " + text +
                                     " cannot take the place of the version of kube-ipvs");
  } else {
    line.settings.faults.push_back(
        {"--version", "\"" + text + "\" is not one of: true, false, raw"});
  }
}

void take_option(const Option& option, const std::vector<std::string>& results, CommandLine& line) {
  if (option.set == nullptr) {
    if (option.flag == "config") {
      line.config_file = results.back();
      if (line.config_file.empty())
        line.settings.faults.push_back({"--config", "a file name is missing"});
      return;
    }
    if (option.flag == "version") return take_version(results.back(), line);
    const auto value = parse_bool(results.back());
    if (!value) line.settings.faults.push_back({cli_name(option.flag), value.error().what});
    line.help = !value || *value;
    return;
  }
  Setting setting{.option = &option, .where = cli_name(option.flag), .items = {}};
  if (has_items(option.type)) {
    for (const std::string& result : results) {
      for (std::string& item : split_list(result))
        setting.items.push_back({std::move(item), setting.where});
    }
  } else {
    setting.items.push_back({results.back(), setting.where});
  }
  line.settings.given.push_back(std::move(setting));
}

void take_ignored(const IgnoredOption& ignored, const std::string& text, CommandLine& line) {
  const std::string name = cli_name(ignored.flag);
  if (std::string why = fault_of(ignored, text); !why.empty()) {
    line.settings.faults.push_back({name, std::move(why)});
  } else if (!is_silent(ignored, text)) {
    line.settings.warnings.push_back(name + ": ignored: " + std::string(ignored.reason));
  }
}

}  // namespace

std::vector<std::string> split_list(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  std::vector<std::string> items;
  if (text.find_first_not_of(kBlank) == std::string_view::npos) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    item.remove_prefix(std::min(item.find_first_not_of(kBlank), item.size()));
    items.emplace_back(item.substr(0, item.find_last_not_of(kBlank) + 1));
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

CommandLine read_flags(int argc, const char* const* argv) {
  CommandLine line;
  std::vector<std::string> words = GoForms(argc, argv, line.settings.faults).rewrite();
  CLI::App app;
  declare(app);
  try {
    std::reverse(words.begin(), words.end());  // CLI11 reads them from the back
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    line.settings.faults.push_back({"command line", error.what()});
    return line;
  }
  for (const Option& option : options()) {
    if (option.flag.empty()) continue;
    const CLI::Option* given = app.get_option(cli_name(option.flag));
    if (given->count() > 0) take_option(option, given->results(), line);
  }
  for (const IgnoredOption& ignored : ignored_options()) {
    if (ignored.flag.empty()) continue;
    const CLI::Option* given = app.get_option(cli_name(ignored.flag));
    if (given->count() > 0) take_ignored(ignored, given->results().back(), line);
  }
  take_rest(app.remaining(), line);
  return line;
}

}  // namespace config
