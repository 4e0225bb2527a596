// SPDX-License-Identifier: Apache-2.0
//
// Whether a kube-proxy runs beside this agent, judged by what can be seen of it. Pure.
//
// In a container with a PID namespace of its own its process cannot be seen. There it is known by
// what it does: its metrics port says its mode, or chains that we deleted are there again. Of the
// last we cannot see the end: so after a while we delete them again, and wait twice as long each
// time they come back.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/takeover.hpp"
#include "ipvs/state/host_network.hpp"

namespace agent {

class KubeProxySigns {
 public:
  struct Seen {
    std::vector<ipvs::KubeProxyProcess> processes;
    std::string mode;  // what its metrics port answers; "": nothing
  };
  // What tells that one runs, such as "process 4242: /usr/local/bin/kube-proxy --v=2"; "": none.
  // `chains`: those that are there now. Called once each check.
  std::string judge(const Seen& seen, const std::vector<ipvs::KubeProxyChains>& chains);
  void deleted(const ipvs::KubeProxyChains& table, const std::vector<std::string>& names);

 private:
  std::string chain_come_back(const std::vector<ipvs::KubeProxyChains>& chains) const;

  std::set<std::string> deleted_;  // "ip nat KUBE-SERVICES"
  std::size_t checks_to_wait_ = 0;
  std::size_t next_wait_ = 1;
};

// The warning, with what to do.
std::string running_text(const std::string& sign, Takeover takeover);
// Names, 20 on each line: "KUBE-A, KUBE-B"; at most 10 lines, the last saying how many are more.
std::vector<std::string> name_lines(const std::vector<std::string>& names);

}  // namespace agent
