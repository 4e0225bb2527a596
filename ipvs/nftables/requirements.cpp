// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/requirements.hpp"

#include <algorithm>
#include <variant>
#include <vector>

namespace ipvs {
namespace {

constexpr const char* kRanges = "ranges in concatenations (Linux 5.6, in nf_tables)";
constexpr const char* kInetNat = "nat in the family inet (Linux 5.2, module nft_chain_nat)";
constexpr const char* kReject = "reject at the prerouting hook (Linux 5.9, module nft_reject_inet)";
constexpr const char* kMasquerade = "masquerading in the family inet (Linux 5.2, module nft_masq)";
constexpr const char* kDnat = "destination NAT in the family inet (Linux 5.2, module nft_nat)";
constexpr const char* kSourceType = "the type of a source address (module nft_fib_inet)";
constexpr const char* kConntrack = "connection tracking (module nft_ct)";

template <typename T>
bool has(const Rule& rule) {
  return std::any_of(rule.expressions.begin(), rule.expressions.end(),
                     [](const auto& e) { return std::holds_alternative<T>(e); });
}

std::string named(const std::string& part, const std::string& requirement) {
  return requirement.empty() ? part : part + ": " + requirement;
}

}  // namespace

std::string requirement_of(const TableSet& set) { return set.key.network ? kRanges : ""; }

std::string requirement_of(const Chain& chain) {
  return chain.hook && chain.hook->type == "nat" ? kInetNat : "";
}

std::string requirement_of(const Rule& rule) {
  if (has<expression::Reject>(rule)) return kReject;
  if (has<expression::Masquerade>(rule)) return kMasquerade;
  if (has<expression::DestinationNat>(rule)) return kDnat;
  if (has<expression::LoadSourceType>(rule)) return kSourceType;
  if (has<expression::LoadConntrack>(rule)) return kConntrack;
  return "";
}

std::string refused_part(const TableRules& rules, std::size_t index) {
  // After the begin of the batch and three messages about the table: sets, chains, rules.
  constexpr std::size_t kBefore = 4;
  const auto sets = table_sets();
  const auto chains = table_chains();
  const std::vector<Rule> all_rules = table_rules(rules);
  if (index >= kBefore) {
    std::size_t at = index - kBefore;
    if (at < sets.size()) {
      return named("the set " + std::string(sets[at].name), requirement_of(sets[at]));
    }
    at -= sets.size();
    if (at < chains.size()) {
      return named("the chain " + std::string(chains[at].name), requirement_of(chains[at]));
    }
    at -= chains.size();
    if (at < all_rules.size()) {
      return named("a rule of the chain " + std::string(all_rules[at].chain),
                   requirement_of(all_rules[at]));
    }
  }
  return std::string("it needs ") + kReject + ", " + kRanges + ", " + kInetNat + ", " +
         kMasquerade + ", " + kDnat + ", " + kSourceType + " and " + kConntrack;
}

}  // namespace ipvs
