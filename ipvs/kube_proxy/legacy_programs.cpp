// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/legacy_programs.hpp"

#include <linux/netfilter.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "ipvs/kube_proxy/child_process.hpp"
#include "ipvs/kube_proxy/legacy_text.hpp"
#include "ipvs/kube_proxy/names.hpp"
#include "ipvs/kube_proxy/rules_codec.hpp"

namespace ipvs {
namespace {

constexpr std::chrono::seconds kLimit{20};

struct Programs {
  std::string save, restore;
};

bool is_legacy(const std::string& program) {
  const ChildOutcome said = run_child({program, "--version"}, {}, kLimit);
  return said.output.find("legacy") != std::string::npos;
}

std::optional<Programs> find_programs(const std::string& family) {
  Programs programs{find_program(family + "-legacy-save"),
                    find_program(family + "-legacy-restore")};
  if (!programs.save.empty() && !programs.restore.empty()) return programs;
  programs = {find_program(family + "-save"), find_program(family + "-restore")};
  if (programs.save.empty() || programs.restore.empty()) return std::nullopt;
  if (!is_legacy(programs.save) || !is_legacy(programs.restore)) return std::nullopt;
  return programs;
}

KernelError fault_of(const std::string& program, const ChildOutcome& outcome) {
  return {outcome.error_number == 0 ? EIO : outcome.error_number, program + " " + outcome.text()};
}

}  // namespace

Result<RemovedChains> remove_legacy_chains(const KubeProxyChains& chains) {
  const std::string family = chains.family == NFPROTO_IPV6 ? "ip6tables" : "iptables";
  const auto programs = find_programs(family);
  if (!programs) {
    return KernelError{ENOENT, "no " + family + "-legacy-save and -restore here; on the host, `" +
                                   legacy_command(chains) + "` deletes them"};
  }
  const ChildOutcome saved = run_child({programs->save, "-t", chains.table}, {}, kLimit);
  if (!saved.succeeded()) return fault_of(programs->save, saved);
  ChainRemoval removal = plan_removal(chains, parse_saved_rules(saved.output));
  const ChildOutcome restored = run_child({programs->restore, "--wait=5", "--noflush"},
                                          restore_text(chains.table, removal), kLimit);
  if (!restored.succeeded()) return fault_of(programs->restore, restored);
  return RemovedChains{std::move(removal.deleted), std::move(removal.kept)};
}

Result<std::optional<std::string>> read_legacy_cluster_ip_clients(const KubeProxyChains& chains) {
  std::optional<std::string> unknown;
  const auto programs = find_programs(chains.family == NFPROTO_IPV6 ? "ip6tables" : "iptables");
  if (!programs) return unknown;
  const ChildOutcome saved = run_child({programs->save, "-t", chains.table}, {}, kLimit);
  if (!saved.succeeded()) return fault_of(programs->save, saved);
  return parse_cluster_ip_clients(saved.output);
}

}  // namespace ipvs
