// SPDX-License-Identifier: Apache-2.0
//
// Which virtual servers are ours: precisely those (address, protocol, port) that we made, and
// nothing beside them. IPVS has no mark of ownership. So we keep a record (ipvs/adr-own-record.md).
// If it is lost, the kernel's own objects say it, as well as they can:
//
//   record   nftables table   ours
//   yes      any              what the record names, and what a set names by address and port
//   lost     yes              what a set names by address and port; and at the node's addresses the
//                             ports of the set of node ports
//   lost     lost             what is at an address of kube-ipvs0, which is also the name of
//                             kube-proxy's device
//
// In the networks that the operator excludes (--ipvs-exclude-cidrs), where others have virtual servers
// of their own, the record alone counts.
//
// Pure.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <vector>

#include "ipvs/state/element.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {

class OwnServers {
 public:
  // `record`: nullopt if it is lost. `elements` of our table, and `addresses` that are bound. All in
  // any order.
  OwnServers(std::optional<std::span<const ServerKey>> record, std::span<const Element> elements,
             std::span<const Address> addresses, std::span<const Network> excluded = {});
  bool contains(const ServerKey& key) const;

 private:
  bool names(const Element& element) const;

  bool has_record_ = false;
  std::vector<ServerKey> record_;   // ordered
  std::vector<Element> elements_;   // ordered by ElementKeyLess
  std::vector<Address> addresses_;  // ordered
  std::vector<Network> excluded_;
};

// Addresses of kube-ipvs0 that we did bind, as our record, if it is not lost, and the elements of our
// table say.
std::set<Address> bound_by_us(const std::optional<std::vector<ServerKey>>& record,
                              std::span<const Element> elements);

}  // namespace ipvs
