// SPDX-License-Identifier: Apache-2.0
#include "agent/claims.hpp"

#include <algorithm>
#include <utility>

namespace agent {
namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Server;
using ipvs::ServerKey;

bool is_for(const Server& server, const Element& element) {
  const ServerKey& key = server.settings.key;
  return key.protocol == element.protocol && key.port == element.port;
}

bool still_needed(const ipvs::ServicePlan& plan, const std::set<ServerKey>& gone,
                  const Element& element) {
  const auto any_server = [&](auto predicate) {
    return std::any_of(plan.servers.begin(), plan.servers.end(), predicate);
  };
  switch (element.kind) {
    case ElementKind::kServiceIp:
      return !gone.contains({element.address, element.port, element.protocol});
    case ElementKind::kNodePort:
      return any_server([&](const Server& server) { return is_for(server, element); });
    case ElementKind::kVirtualIp:
      return any_server(
          [&](const Server& server) { return server.settings.key.address == element.address; });
    case ElementKind::kHairpin:
    case ElementKind::kNodeAddress:
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
  std::erase_if(plan.elements,
                [&](const Element& element) { return !still_needed(plan, keys, element); });
  return plan;
}

Claims::Settled Claims::settle(const ipvs::Owner& owner, k8s::UnixSeconds since,
                               ipvs::ServicePlan plan) {
  Settled settled;
  std::vector<ServerKey> wanted;
  wanted.reserve(plan.servers.size());
  for (const Server& server : plan.servers) wanted.push_back(server.settings.key);
  drop(owner, wanted, settled.others);

  const Claimant self{since, owner};
  std::set<ServerKey> refused;
  for (const ServerKey& key : wanted) {
    auto& claimants = claimants_[key];
    const ipvs::Owner before = claimants.empty() ? owner : claimants.front().second;
    std::erase_if(claimants, [&](const Claimant& c) { return c.second == owner; });
    claimants.insert(std::upper_bound(claimants.begin(), claimants.end(), self), self);
    const ipvs::Owner& holder = claimants.front().second;
    if (holder != before) settled.others.insert(before == owner ? holder : before);
    if (holder == owner) continue;
    refused.insert(key);
    settled.lost.push_back({key, holder});
  }
  if (wanted.empty()) {
    keys_of_.erase(owner);
  } else {
    keys_of_[owner] = std::move(wanted);
  }
  settled.plan = without_servers(std::move(plan), refused);
  return settled;
}

std::set<ipvs::Owner> Claims::release(const ipvs::Owner& owner) {
  return settle(owner, 0, {}).others;
}

// `keep` is ordered.
void Claims::drop(const ipvs::Owner& owner, const std::vector<ServerKey>& keep,
                  std::set<ipvs::Owner>& others) {
  const auto held = keys_of_.find(owner);
  if (held == keys_of_.end()) return;
  for (const ServerKey& key : held->second) {
    if (std::binary_search(keep.begin(), keep.end(), key)) continue;
    const auto entry = claimants_.find(key);
    const bool was_holder = entry->second.front().second == owner;
    std::erase_if(entry->second, [&](const Claimant& c) { return c.second == owner; });
    if (entry->second.empty()) {
      claimants_.erase(entry);
    } else if (was_holder) {
      others.insert(entry->second.front().second);
    }
  }
}

}  // namespace agent
