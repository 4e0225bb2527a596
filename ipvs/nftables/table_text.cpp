// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/table_text.hpp"

#include <linux/netfilter.h>

#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "ipvs/nftables/rule_text.hpp"
#include "ipvs/nftables/table.hpp"

namespace ipvs {
namespace {

// By NF_INET_*.
constexpr std::array<std::string_view, 5> kHooks{"prerouting", "input", "forward", "output",
                                                 "postrouting"};
static_assert(NF_INET_PRE_ROUTING == 0 && NF_INET_POST_ROUTING == 4);

using ElementsOf = std::map<const TableSet*, std::vector<const Element*>>;

ElementsOf sort_by_set(std::span<const Element> elements) {
  ElementsOf sorted;
  for (const Element& each : elements) {
    if (const TableSet* set = set_of(each)) sorted[set].push_back(&each);
  }
  return sorted;
}

std::string type_text(const TableSet& set) {
  const std::string address = set.family == Family::kIpv6 ? "ipv6_addr" : "ipv4_addr";
  std::string text;
  const auto add = [&](bool is_part, const std::string& type) {
    if (is_part) text += (text.empty() ? "" : " . ") + type;
  };
  add(set.key.address, address);
  add(set.key.address_again, address);
  add(set.key.port, "inet_proto . inet_service");
  add(set.key.network, address);
  return set.data_length == 0 ? text : text + " : " + address + " . inet_service";
}

// "10.96.0.1 . tcp . 80": an element's text() begins with the name of its set.
std::string key_text(const Element& element, const TableSet& set) {
  return element.text().substr(set.name.size() + 1);
}

std::string set_text(const TableSet& set, const std::vector<const Element*>& elements) {
  std::string text = set.data_length == 0 ? "\tset " : "\tmap ";
  text += std::string(set.name) + " {\n\t\ttype " + type_text(set) + "\n";
  if (set.key.network) text += "\t\tflags interval\n";
  const char* separator = "\t\telements = { ";
  for (const Element* each : elements) {
    text += separator + key_text(*each, set);
    separator = ",\n\t\t\t     ";
  }
  return text + (elements.empty() ? "\t}\n" : " }\n\t}\n");
}

std::string chain_text(const Chain& chain, const std::vector<Rule>& rules) {
  std::string text = "\tchain " + std::string(chain.name) + " {\n";
  if (chain.hook) {
    text += "\t\ttype " + std::string(chain.hook->type) + " hook " +
            std::string(kHooks[chain.hook->number]) + " priority " +
            std::to_string(chain.hook->priority) + "; policy accept;\n";
  }
  for (const Rule& rule : rules) {
    if (rule.chain == chain.name) text += "\t\t" + text_of(rule) + "\n";
  }
  return text + "\t}\n";
}

}  // namespace

std::string table_text(const TableRules& rules, std::span<const Element> elements) {
  const std::string table = "table inet " + std::string(kTableName);
  // Created first, so that there is one to delete.
  std::string text = table + " {}\ndelete " + table + "\n" + table + " {\n";
  ElementsOf sorted = sort_by_set(elements);
  for (const TableSet& set : table_sets()) text += set_text(set, sorted[&set]) + "\n";
  TableRules lasting = rules;
  lasting.drops_refusals = false;
  const std::vector<Rule> all = table_rules(lasting);
  for (const Chain& chain : table_chains()) {
    text += chain_text(chain, all);
    if (&chain != &table_chains().back()) text += "\n";
  }
  return text + "}\n";
}

}  // namespace ipvs
