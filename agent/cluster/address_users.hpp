// SPDX-License-Identifier: Apache-2.0
//
// Which Services name an address as external IP or load balancer IP: several may name the same one.
// A change of what the address is otherwise used for then costs those Services alone.
//
// Threading: none of its own; the agent's io_context thread.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

class AddressUsers {
 public:
  // Replaces the addresses of a Service; ordered, each once.
  void set(const k8s::ObjectKey& service, std::vector<ipvs::Address> addresses) {
    const auto known = addresses_of_.find(service);
    if (known == addresses_of_.end() ? addresses.empty() : known->second == addresses) return;
    if (known != addresses_of_.end()) {
      for (const ipvs::Address& address : known->second) users_.erase({address, service});
      addresses_of_.erase(known);
    }
    if (addresses.empty()) return;
    for (const ipvs::Address& address : addresses) users_.emplace(address, service);
    addresses_of_.emplace(service, std::move(addresses));
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [service, addresses] : addresses_of_) visit(service);
  }

  template <typename Visit>
  void for_each_of(const ipvs::Address& address, Visit visit) const {
    for (auto user = users_.lower_bound({address, {}});
         user != users_.end() && user->first == address; ++user) {
      visit(user->second);
    }
  }

 private:
  std::map<k8s::ObjectKey, std::vector<ipvs::Address>> addresses_of_;
  std::set<std::pair<ipvs::Address, k8s::ObjectKey>> users_;
};

}  // namespace agent
