// SPDX-License-Identifier: Apache-2.0
//
// How kube-proxy's chains of one table are deleted without touching anybody else's rule. The same
// for nftables and iptables-legacy. Pure.
//
//   rule in                    leads to               becomes
//   a chain of kube-proxy      anything               deleted with all others of its chain
//   a built-in chain           a chain of kube-proxy  deleted
//   a chain of somebody else   a chain of kube-proxy  stays; so the chain it leads to stays, emptied
//   a chain of somebody else   a shared chain         stays; so both shared chains stay as they are,
//                                                     without the rules that use an ipset
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ipvs/state/host_network.hpp"

namespace ipvs {

struct TableRule {
  std::string chain;         // it is in
  std::string target;        // the chain it leads to; "": none
  bool uses_set = false;     // of `ipset`
  std::uint64_t handle = 0;  // nftables
  std::string text;          // iptables-legacy: what follows "-A "
  bool operator==(const TableRule&) const = default;
};

struct ChainRemoval {
  std::vector<TableRule> rules;      // to be deleted one by one
  std::vector<std::string> emptied;  // chains
  std::vector<std::string> deleted;  // those of them that are deleted then
  std::vector<std::string> kept;     // "KUBE-SERVICES: the chain FOO leads to it"
};

ChainRemoval plan_removal(const KubeProxyChains& chains, std::span<const TableRule> rules);

}  // namespace ipvs
