// SPDX-License-Identifier: Apache-2.0
//
// A table as iptables-save writes it: whatever it holds, each rule's text is a line of it, and what
// iptables-restore gets has one line for each rule and chain.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ipvs/kube_proxy/legacy_text.hpp"
#include "ipvs/kube_proxy/rules_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view saved(reinterpret_cast<const char*>(data), size);
  (void)ipvs::parse_cluster_ip_clients(saved);
  const auto rules = ipvs::parse_saved_rules(saved);
  for (const ipvs::TableRule& rule : rules) {
    if (saved.find("-A " + rule.text) == std::string_view::npos) std::abort();
  }
  const ipvs::KubeProxyChains chains{
      .family = 2, .table = "nat", .names = {"KUBE-MARK-MASQ", "KUBE-SERVICES"}, .legacy = true};
  const ipvs::ChainRemoval removal = ipvs::plan_removal(chains, rules);
  const std::string text = ipvs::restore_text("nat", removal);
  const std::size_t lines =
      2 + removal.emptied.size() + removal.rules.size() + removal.deleted.size();
  if (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) != lines) std::abort();
  return 0;
}
