// SPDX-License-Identifier: Apache-2.0
#include "config/help.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/commands.hpp"
#include "config/ignored_options.hpp"
#include "config/options.hpp"

namespace config {
namespace {

constexpr std::size_t kLeftColumn = 36;
constexpr std::size_t kLeast = 60;
constexpr std::size_t kMost = 120;

struct Heading {
  Group group;
  std::string_view text;
};
constexpr std::array<Heading, 8> kHeadings = {
    {{Group::kCluster, "The cluster"},
     {Group::kIpvs, "IPVS"},
     {Group::kTraffic, "Traffic and addresses"},
     {Group::kHost, "The host's settings"},
     {Group::kManifests, "Address and port ranges for --manifests"},
     {Group::kDns, "DNS"},
     {Group::kHttp, "Metrics and health"},
     {Group::kGeneral, "General"}}};

std::string left_column(const Option& option) {
  std::string left = "  ";
  if (option.letter != 0) left += std::string("-") + option.letter + ", ";
  left += "--" + std::string(option.flag);
  if (!option.placeholder.empty()) left += " " + std::string(option.placeholder);
  return left;
}

std::string default_of(const Option& option) {
  if (!option.default_note.empty()) return std::string(option.default_note);
  if (option.get == nullptr || option.type == ValueType::kFlag) return {};
  return option.get(Config{});
}

// Breaks `text` into lines of at most `width` columns and indents all but the first by `indent`.
std::string wrap(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (column > indent && column + 1 + word.size() > width) {
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

std::string option_lines(const Option& option, std::size_t width) {
  std::string left = left_column(option);
  if (left.size() >= kLeftColumn && left.size() + kLeast / 2 > width) {
    left += "\n" + std::string(kLeftColumn, ' ');
  } else {
    left += std::string(left.size() < kLeftColumn ? kLeftColumn - left.size() : 1, ' ');
  }
  std::string help(option.help);
  if (const std::string value = default_of(option); !value.empty()) help += " [" + value + "]";
  const std::size_t line_start = left.rfind('\n') + 1;  // npos + 1 is 0
  return left + wrap(help, left.size() - line_start, width);
}

}  // namespace

std::string help_text(const std::string& program, std::size_t columns) {
  const std::size_t width = std::clamp(columns, kLeast, kMost);
  std::string out =
      wrap("kube-ipvs makes this node's kernel serve the cluster's Services with IPVS.", 0, width) +
      wrap("It takes the flags and the configuration file of kube-proxy (config/kube-proxy.md).", 0,
           width) +
      "\nUsage:\n";
  for (const char* form :
       {" [flags]\n", " plan [-o FORMAT] [flags]\n", " cleanup [--handover] [--dry-run]\n"}) {
    out += "  " + program + form;
  }
  out += "  " + program + " COMMAND [options]\n\nQuestions to the agent of this node:\n";
  for (const Command& command : commands()) {
    std::string left = "  " + std::string(command.name);
    left += std::string(left.size() < kLeftColumn ? kLeftColumn - left.size() : 1, ' ');
    out += left + wrap(command.help, kLeftColumn, width);
  }
  out += "  " + wrap("COMMAND --help says more.", 2, width);
  for (const Heading& heading : kHeadings) {
    out += "\n" + std::string(heading.text) + ":\n";
    for (const Option& option : options()) {
      if (option.group == heading.group && !option.flag.empty()) out += option_lines(option, width);
    }
  }
  out += "\n" +
         wrap(
             "Defaults are in brackets. DURATION: one or more numbers with units, such as 900s, "
             "15m, 1h30m or 250ms. CIDRS: networks separated by commas. PORT 0: any free port. "
             "--name=value and, for switches, --name=false are accepted too.",
             0, width);
  std::string ignored;
  for (const IgnoredOption& option : ignored_options()) {
    if (!option.flag.empty())
      ignored += (ignored.empty() ? "--" : ", --") + std::string(option.flag);
  }
  out += "\n" +
         wrap("Flags of kube-proxy that are accepted with a warning but do nothing:", 0, width) +
         "  " + wrap(ignored, 2, width);
  return out;
}

}  // namespace config
