// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/kube_proxy_signs.hpp"

#include <algorithm>

namespace agent {
namespace {

constexpr std::size_t kMaxWait = 128;  // checks: about an hour
constexpr std::size_t kNamesALine = 20;
constexpr std::size_t kMaxLines = 10;

// Kubelets before 1.28 make these again.
bool is_of_kubelet_too(const std::string& name) {
  return name == "KUBE-MARK-MASQ" || name == "KUBE-POSTROUTING";
}

std::string place_of(const ipvs::KubeProxyChains& table, const std::string& name) {
  return table.table_text() + " " + name;
}

}  // namespace

std::string KubeProxySigns::chain_come_back(
    const std::vector<ipvs::KubeProxyChains>& chains) const {
  for (const ipvs::KubeProxyChains& table : chains) {
    for (const std::string& name : table.names) {
      std::string place = place_of(table, name);
      if (deleted_.contains(place)) return place;
    }
  }
  return {};
}

std::string KubeProxySigns::judge(const Seen& seen,
                                  const std::vector<ipvs::KubeProxyChains>& chains) {
  if (!seen.processes.empty()) {
    const ipvs::KubeProxyProcess& first = seen.processes.front();
    return "process " + std::to_string(first.pid) + ": " + first.command;
  }
  if (!seen.mode.empty()) return "127.0.0.1:10249/proxyMode answers " + seen.mode;
  const std::string place = chain_come_back(chains);
  if (place.empty()) {
    if (!deleted_.empty()) next_wait_ = 1;  // what was deleted stays deleted
    return {};
  }
  if (checks_to_wait_ == 0) {
    checks_to_wait_ = next_wait_;
    next_wait_ = std::min(2 * next_wait_, kMaxWait);
  }
  if (--checks_to_wait_ == 0) deleted_.clear();  // the next check may delete them
  return "the chain " + place + " was deleted and is there again";
}

void KubeProxySigns::deleted(const ipvs::KubeProxyChains& table,
                             const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!is_of_kubelet_too(name)) deleted_.insert(place_of(table, name));
  }
}

std::string running_text(const std::string& sign, Takeover takeover) {
  std::string text = "kube-proxy runs beside this agent (" + sign +
                     "), and both change the same virtual servers: stop it, for instance with "
                     "`kubectl -n kube-system delete daemonset kube-proxy`";
  if (takeover == Takeover::kAuto) text += "; its chains and ipsets are deleted when it has ended";
  return text;
}

std::vector<std::string> name_lines(const std::vector<std::string>& names) {
  std::vector<std::string> lines;
  const std::size_t shown = std::min(names.size(), kNamesALine * kMaxLines);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i % kNamesALine == 0) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : ", ") + names[i];
  }
  if (shown < names.size()) {
    lines.back() += " and " + std::to_string(names.size() - shown) + " more";
  }
  return lines;
}

}  // namespace agent
