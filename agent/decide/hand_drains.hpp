// SPDX-License-Identifier: Apache-2.0
//
// Endpoints that somebody has drained by hand (`kube-ipvs drain`): they get weight 0 in every Service,
// so their connections end and none begins, until the time is over or `kube-ipvs undrain`.
//
// Plain values; written to a file under --run-dir and read by the next start (agent/answers/drains.hpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

// "10.244.1.7:8080", or of all ports "10.244.1.7".
inline std::string drained_text(const ipvs::Endpoint& endpoint) {
  return endpoint.port == 0 ? endpoint.address.to_string() : endpoint.text();
}

struct HandDrain {
  ipvs::Endpoint endpoint{};  // port 0: all ports of the address
  std::string by{};           // who, as the caller says
  std::string reason{};
  k8s::UnixSeconds since = 0;
  std::optional<k8s::UnixSeconds> until{};  // nullopt: until it is ended by hand

  bool covers(const ipvs::Endpoint& other) const {
    return endpoint.address == other.address && (endpoint.port == 0 || endpoint.port == other.port);
  }
  bool operator==(const HandDrain&) const = default;
};

class HandDrains {
 public:
  // Replaces one of the same endpoint.
  void set(HandDrain drain) {
    remove(drain.endpoint);
    drains_.push_back(std::move(drain));
  }
  // False: there is none.
  bool remove(const ipvs::Endpoint& endpoint) {
    return std::erase_if(drains_,
                         [&](const HandDrain& each) { return each.endpoint == endpoint; }) != 0;
  }
  // nullptr: it is not drained by hand.
  const HandDrain* find(const ipvs::Endpoint& endpoint) const {
    const auto at = std::find_if(drains_.begin(), drains_.end(),
                                 [&](const HandDrain& each) { return each.covers(endpoint); });
    return at == drains_.end() ? nullptr : &*at;
  }
  const std::vector<HandDrain>& all() const { return drains_; }

 private:
  std::vector<HandDrain> drains_;  // few: somebody types each
};

}  // namespace agent
