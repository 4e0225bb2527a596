// SPDX-License-Identifier: Apache-2.0
//
// Which virtual servers are ours. IPVS has no mark of ownership. But our nftables sets name every
// VIP:port and node port from before its virtual server is created until after it is deleted, and
// so do the addresses on kube-ipvs0. Pure.
#pragma once

#include <span>
#include <vector>

#include "ipvs/state/element.hpp"

namespace ipvs {

class OwnServers {
 public:
  // `elements` of our table and `addresses` that are bound, in any order.
  OwnServers(std::span<const Element> elements, std::span<const Address> addresses);
  bool contains(const ServerKey& key) const;

 private:
  bool names(const Element& element) const;

  std::vector<Element> elements_;   // ordered by ElementKeyLess
  std::vector<Address> addresses_;  // ordered
};

}  // namespace ipvs
