// SPDX-License-Identifier: Apache-2.0
//
// The table of options as text: --help, and a Config as a file.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/file.hpp"
#include "config/options.hpp"
#include "config/parse.hpp"

namespace config {
namespace {

constexpr std::size_t kLeftColumn = 36;
constexpr std::size_t kWidth = 100;

struct Heading {
  Group group;
  std::string_view text;
};
constexpr std::array<Heading, 6> kHeadings = {
    {{Group::kCluster, "The cluster"},
     {Group::kIpvs, "IPVS"},
     {Group::kTraffic, "Traffic and addresses"},
     {Group::kManifests, "What --manifests allocates from"},
     {Group::kHttp, "Metrics and health"},
     {Group::kGeneral, "General"}}};

std::string left_column(const Option& option) {
  std::string left = "  --" + std::string(option.flag);
  if (option.flag == "v") left = "  -v, --v";
  if (option.flag == "help") left = "  -h, --help";
  if (!option.placeholder.empty()) left += " " + std::string(option.placeholder);
  return left;
}

std::string default_of(const Option& option) {
  if (!option.default_note.empty()) return std::string(option.default_note);
  if (option.get == nullptr || option.type == ValueType::kFlag) return {};
  return option.get(Config{});
}

// `text` in lines of at most kWidth, each but the first begun with `indent` blanks.
std::string wrap(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (column > indent && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  }
  return out + "\n";
}

std::string option_lines(const Option& option) {
  std::string left = left_column(option);
  left += left.size() < kLeftColumn ? std::string(kLeftColumn - left.size(), ' ')
                                    : "\n" + std::string(kLeftColumn, ' ');
  std::string help(option.help);
  if (const std::string value = default_of(option); !value.empty()) help += " [" + value + "]";
  return left + wrap(help, kLeftColumn);
}

std::string command_lines(const std::vector<Command>& commands) {
  std::string out = "\nCommands:\n";
  for (const Command& command : commands) {
    std::string left =
        "  " + command.name + (command.arguments.empty() ? "" : " ") + command.arguments;
    left += std::string(std::max(kLeftColumn, left.size() + 1) - left.size(), ' ');
    out += left + wrap(command.help, kLeftColumn);
  }
  return out;
}

// A YAML string in double quotes, good for any text.
std::string quote(std::string_view value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte / 16];
      out += kHex[byte % 16];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string yaml_value(const Option& option, const Config& config) {
  const std::string value = option.get(config);
  const bool bare = option.type == ValueType::kFlag || option.type == ValueType::kNumber;
  return bare ? value : quote(value);
}

}  // namespace

std::string help_text(const Environment& environment) {
  std::string out =
      "kube-ipvs makes this node's kernel serve the cluster's Services with IPVS.\n\n"
      "Usage:\n  kube-ipvs [flags]\n";
  if (!environment.commands.empty())
    out += "  kube-ipvs COMMAND [flags]\n" + command_lines(environment.commands);
  for (const Heading& heading : kHeadings) {
    out += "\n" + std::string(heading.text) + ":\n";
    for (const Option& option : options()) {
      if (option.group == heading.group) out += option_lines(option);
    }
  }
  out +=
      "\nIn brackets: the default. DURATION: a number with a unit, or several: 900s, 15m, 1h30m, "
      "250ms.\n"
      "CIDRS: networks separated by commas. PORT 0: any free port. --name=value and, for "
      "switches,\n"
      "--name=false are taken too.\n";
  std::string ignored;
  for (const IgnoredOption& option : ignored_options()) {
    if (!option.flag.empty())
      ignored += (ignored.empty() ? "--" : ", --") + std::string(option.flag);
  }
  out +=
      "\nFlags of kube-proxy that are taken with a warning and do nothing:\n  " + wrap(ignored, 2);
  return out;
}

std::string to_yaml(const Config& config) {
  std::string top =
      "apiVersion: " + std::string(kOurApiVersion) + "\nkind: " + std::string(kOurKind) + "\n";
  std::vector<std::pair<std::string, std::string>> sections;
  for (const Option& option : options()) {
    const std::string_view key = option.own_key.empty() ? option.key : option.own_key;
    if (key.empty() || option.get == nullptr) continue;
    const std::size_t dot = key.find('.');
    if (dot == std::string_view::npos) {
      top += std::string(key) + ": " + yaml_value(option, config) + "\n";
      continue;
    }
    const std::string name(key.substr(0, dot));
    auto place = std::find_if(sections.begin(), sections.end(),
                              [&](const auto& s) { return s.first == name; });
    if (place == sections.end()) place = sections.insert(sections.end(), {name, ""});
    place->second +=
        "  " + std::string(key.substr(dot + 1)) + ": " + yaml_value(option, config) + "\n";
  }
  for (const auto& [name, lines] : sections) top += name + ":\n" + lines;
  return top;
}

}  // namespace config
