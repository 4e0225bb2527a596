// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/legacy_text.hpp"

#include <algorithm>
#include <cstddef>

namespace ipvs {
namespace {

// Takes the next word; one in quotation marks may have spaces, and \" in it.
std::string_view take_word(std::string_view& line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  std::size_t end = 0;
  for (bool quoted = false; end < line.size() && (quoted || line[end] != ' '); ++end) {
    if (line[end] == '\\') {
      ++end;
    } else if (line[end] == '"') {
      quoted = !quoted;
    }
  }
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(word.size());
  return word;
}

TableRule parse_rule(std::string_view line) {
  TableRule rule;
  rule.text = line;
  rule.chain = take_word(line);
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    if (word == "--match-set") rule.uses_set = true;
    if (word == "-j" || word == "-g") rule.target = take_word(line);
  }
  return rule;
}

}  // namespace

std::vector<TableRule> parse_saved_rules(std::string_view saved) {
  constexpr std::string_view kAppend = "-A ";
  std::vector<TableRule> rules;
  while (!saved.empty()) {
    const std::string_view line = saved.substr(0, saved.find('\n'));
    saved.remove_prefix(std::min(line.size() + 1, saved.size()));
    if (line.starts_with(kAppend)) rules.push_back(parse_rule(line.substr(kAppend.size())));
  }
  return rules;
}

std::string restore_text(const std::string& table, const ChainRemoval& removal) {
  std::string text = "*" + table + "\n";
  // A chain that is there becomes empty.
  for (const std::string& name : removal.emptied) text += ":" + name + " - [0:0]\n";
  for (const TableRule& rule : removal.rules) text += "-D " + rule.text + "\n";
  for (const std::string& name : removal.deleted) text += "-X " + name + "\n";
  return text + "COMMIT\n";
}

}  // namespace ipvs
