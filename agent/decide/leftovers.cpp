// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/leftovers.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/decide/reconciler.hpp"

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Element;
using ipvs::ServerKey;

// Services bound the address by the field that counts most. That of a cluster IP may be
// default/kubernetes: by it we may reach the API server.
AddressUse use_of(const Address& address, const std::vector<Element>& elements) {
  AddressUse use{.address = address};
  bool is_named = false;
  for (const Element& element : elements) {
    if (element.kind != ipvs::ElementKind::kServiceIp || element.address != address) continue;
    if (element.traffic_class == ipvs::TrafficClass::kClusterIp) {
      return {.address = address, .field = AddressField::kClusterIp, .is_kubernetes = true};
    }
    is_named = true;
    use.answers_dns |= element.port == 53;
  }
  if (!is_named) return use;
  use.field = use.answers_dns ? AddressField::kLoadBalancer : AddressField::kExternalIp;
  return use;
}

std::string note(const std::string& what, const std::string& why) {
  return what + " is " + why + ": what was programmed there before this start is deleted";
}

}  // namespace

std::vector<ServerKey> servers_in_the_way(const AddressPolicy& policy) {
  std::vector<ServerKey> keys;
  for (const HolderKind kind : {HolderKind::kApiServer, HolderKind::kProxy}) {
    for (const ipvs::Endpoint& each : policy.held_by(kind)) {
      if (policy.is_own(each.address)) keys.push_back({each.address, each.port});
    }
  }
  return keys;
}

Leftovers find_leftovers(const ipvs::Observed& observed, const AddressPolicy& policy) {
  Leftovers found;
  std::set<Address> released;
  for (const Address& address : observed.addresses) {
    if (policy.is_own(address) || !policy.has_holder(address)) continue;
    const auto why = policy.refusal(use_of(address, observed.elements));
    if (!why) continue;
    released.insert(address);
    found.release.unbind.push_back({.add = false, .address = address});
    found.notes.push_back(note(address.to_string(), *why));
  }
  const std::set<ServerKey> foreign = foreign_servers(observed);
  for (const ipvs::Server& server : observed.servers) {
    const ServerKey& key = server.settings.key;
    if (foreign.contains(key)) continue;
    if (!released.contains(key.address)) {
      // On an address of this node's own the ports are protected.
      if (!policy.is_own(key.address)) continue;
      const auto why = policy.refusal({.address = key.address,
                                       .port = key.port,
                                       .protocol = key.protocol,
                                       .field = AddressField::kLoadBalancer,
                                       .answers_dns = true});
      if (!why) continue;
      found.notes.push_back(note(key.text(), *why));
    }
    found.release.dismantle.push_back(
        {.command = ipvs::ServerCommand::kDelService, .server = {.key = key}, .destination = {}});
  }
  return found;
}

}  // namespace agent
