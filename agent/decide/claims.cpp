// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/claims.hpp"

#include <algorithm>
#include <utility>

namespace agent {
namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::ElementScope;
using ipvs::Server;
using ipvs::ServerKey;

// The claim on a node port as a whole, on whatever addresses it is served.
template <typename T>
ServerKey claim_of(const T& node_port) {
  return {ipvs::Address{}, node_port.port, node_port.protocol};
}

// The field by which the Service has the address. A virtual server whose address and port have no
// element of their own is a node port's.
AddressField field_of(const ipvs::ServicePlan& plan, const ServerKey& key,
                      const std::vector<ipvs::Address>& external_ips = {}) {
  const Element named{.kind = ElementKind::kServiceIp,
                      .address = key.address,
                      .protocol = key.protocol,
                      .port = key.port};
  const auto found =
      std::lower_bound(plan.elements.begin(), plan.elements.end(), named, ipvs::ElementKeyLess{});
  if (found == plan.elements.end() || !found->same_key(named)) return AddressField::kNodePort;
  if (found->traffic_class == ipvs::TrafficClass::kClusterIp) return AddressField::kClusterIp;
  const bool external = std::binary_search(external_ips.begin(), external_ips.end(), key.address);
  return external ? AddressField::kExternalIp : AddressField::kLoadBalancer;
}

bool is_node_port(const ipvs::ServicePlan& plan, const ServerKey& key) {
  return field_of(plan, key) == AddressField::kNodePort;
}

std::set<ServerKey> node_ports_of(const ipvs::ServicePlan& plan) {
  std::set<ServerKey> ports;
  for (const Server& server : plan.servers) {
    const ServerKey& key = server.settings.key;
    if (is_node_port(plan, key)) ports.insert(claim_of(key));
  }
  return ports;
}

bool still_needed(const ipvs::ServicePlan& plan, const std::set<ServerKey>& removed,
                  const std::set<ServerKey>& node_ports, const Element& element) {
  switch (ipvs::row_of(element.kind).scope) {
    case ElementScope::kServer:
      return !removed.contains({element.address, element.port, element.protocol});
    case ElementScope::kNodePort:
      return node_ports.contains(claim_of(element));
    case ElementScope::kAddress:
      return std::any_of(plan.servers.begin(), plan.servers.end(), [&](const Server& server) {
        return server.settings.key.address == element.address;
      });
    case ElementScope::kService:
      return !plan.servers.empty();
  }
  return true;
}

}  // namespace

ipvs::ServicePlan without_servers(ipvs::ServicePlan plan, const std::set<ServerKey>& keys) {
  if (keys.empty()) return plan;
  std::erase_if(plan.servers,
                [&](const Server& server) { return keys.contains(server.settings.key); });
  std::erase_if(plan.addresses, [&](const ipvs::Address& address) {
    return std::none_of(plan.servers.begin(), plan.servers.end(), [&](const Server& server) {
      return server.settings.key.address == address;
    });
  });
  const std::set<ServerKey> node_ports = node_ports_of(plan);
  std::erase_if(plan.elements, [&](const Element& element) {
    return !still_needed(plan, keys, node_ports, element);
  });
  return plan;
}

Claims::Granted Claims::replace(const ipvs::Owner& owner, const Standing& standing,
                                ipvs::ServicePlan plan) {
  Granted granted;
  Claimant self{.field = AddressField::kNodePort,
                .is_lingering = standing.since == kLingering,
                .since = standing.since,
                .owner = owner};
  std::vector<ServerKey> wanted;
  std::set<ServerKey> refused;
  // A node port belongs to one Service on all addresses: its set element has one class.
  std::set<ServerKey> refused_ports;
  for (const ServerKey& port : node_ports_of(plan)) {
    wanted.push_back(port);
    if (!claim(self, port, granted)) refused_ports.insert(port);
  }
  for (const Server& server : plan.servers) {
    const ServerKey& key = server.settings.key;
    self.field = field_of(plan, key, standing.external_ips);
    if (self.field == AddressField::kNodePort && refused_ports.contains(claim_of(key))) {
      refused.insert(key);
      continue;
    }
    wanted.push_back(key);
    if (!claim(self, key, granted)) refused.insert(key);
  }
  std::sort(wanted.begin(), wanted.end());
  withdraw_all_but(wanted, owner, granted.others);
  if (wanted.empty()) {
    keys_of_.erase(owner);
  } else {
    keys_of_[owner] = std::move(wanted);
  }
  granted.plan = without_servers(std::move(plan), refused);
  return granted;
}

// True if the claim is won; else it is added to `granted.lost`. A Service that won or lost the key
// by this is added to `granted.others`.
bool Claims::claim(const Claimant& self, const ServerKey& key, Granted& granted) {
  const ipvs::Owner& owner = self.owner;
  auto& claimants = claimants_[key];
  if (claimants.size() == 1 && claimants.front() == self)
    return true;  // nearly always: nothing changed
  const ipvs::Owner before = claimants.empty() ? owner : claimants.front().owner;
  std::erase_if(claimants, [&](const Claimant& c) { return c.owner == owner; });
  claimants.insert(std::upper_bound(claimants.begin(), claimants.end(), self), self);
  const ipvs::Owner& holder = claimants.front().owner;
  if (holder != before) granted.others.insert(before == owner ? holder : before);
  if (holder == owner) return true;
  granted.lost.push_back({key, holder});
  return false;
}

std::set<ipvs::Owner> Claims::release(const ipvs::Owner& owner) {
  return replace(owner, 0, {}).others;
}

// `keep` is ordered.
void Claims::withdraw_all_but(const std::vector<ServerKey>& keep, const ipvs::Owner& owner,
                              std::set<ipvs::Owner>& others) {
  const auto held = keys_of_.find(owner);
  if (held == keys_of_.end()) return;
  for (const ServerKey& key : held->second) {
    if (std::binary_search(keep.begin(), keep.end(), key)) continue;
    const auto entry = claimants_.find(key);
    const bool was_holder = entry->second.front().owner == owner;
    std::erase_if(entry->second, [&](const Claimant& c) { return c.owner == owner; });
    if (entry->second.empty()) {
      claimants_.erase(entry);
    } else if (was_holder) {
      others.insert(entry->second.front().owner);
    }
  }
}

}  // namespace agent
