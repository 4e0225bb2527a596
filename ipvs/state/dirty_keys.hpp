// SPDX-License-Identifier: Apache-2.0
//
// Keys of what has to be compared again, because the desired or the known state of it may have
// changed.
#pragma once

#include <cstddef>
#include <set>

#include "ipvs/state/element.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

struct DirtyKeys {
  std::set<ServerKey> servers;
  std::set<Address> addresses;
  std::set<Element, ElementKeyLess> elements;

  bool empty() const { return servers.empty() && addresses.empty() && elements.empty(); }
  std::size_t size() const { return servers.size() + addresses.size() + elements.size(); }
  void merge(DirtyKeys other);
};

}  // namespace ipvs
