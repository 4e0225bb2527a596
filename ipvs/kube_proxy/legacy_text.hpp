// SPDX-License-Identifier: Apache-2.0
//
// The text of one iptables-legacy table as iptables-save writes it and iptables-restore reads it.
// Pure.
//
//   *nat
//   :PREROUTING ACCEPT [0:0]
//   :KUBE-SERVICES - [0:0]
//   -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
//   COMMIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ipvs/kube_proxy/removal.hpp"

namespace ipvs {

// The rules of the table in iptables-save's output.
std::vector<TableRule> parse_saved_rules(std::string_view saved);
// For `iptables-restore --noflush`, which replaces the table in one step: all of it or nothing.
std::string restore_text(const std::string& table, const ChainRemoval& removal);

}  // namespace ipvs
