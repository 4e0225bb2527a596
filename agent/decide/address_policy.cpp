// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/address_policy.hpp"

#include <algorithm>
#include <iterator>

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Endpoint;

std::string text_of(const Holder& holder) {
  switch (holder.kind) {
    case HolderKind::kApiServer:
      return "the address of the API server";
    case HolderKind::kProxy:
      return "the address of the proxy to the API server";
    case HolderKind::kGateway:
      return "a gateway of this node";
    case HolderKind::kNameserver:
      return "a nameserver of this node";
    case HolderKind::kNode:
      return "the address of Node " + holder.name;
  }
  return "";
}

AddressPolicy::Addresses addresses_of(const std::vector<Endpoint>& held) {
  AddressPolicy::Addresses addresses;
  for (const Endpoint& each : held) addresses.insert(each.address);
  return addresses;
}

}  // namespace

AddressPolicy::Addresses AddressPolicy::set_own(Addresses own) {
  Addresses changed;
  std::set_symmetric_difference(own.begin(), own.end(), own_.begin(), own_.end(),
                                std::inserter(changed, changed.end()));
  own_ = std::move(own);
  return changed;
}

AddressPolicy::Addresses AddressPolicy::set(const Holder& holder, std::vector<Endpoint> held) {
  const auto known = held_.find(holder);
  if (known == held_.end() ? held.empty() : known->second == held) return {};
  Addresses changed = addresses_of(held);
  if (known != held_.end()) {
    changed.merge(addresses_of(known->second));
    forget(known->first, known->second);
    held_.erase(known);
  }
  if (!held.empty()) {
    const auto place = held_.emplace(holder, std::move(held)).first;
    index(place->first, place->second);
  }
  return changed;
}

AddressPolicy::Addresses AddressPolicy::set_kubernetes(std::vector<Address> cluster_ips) {
  if (cluster_ips == kubernetes_) return {};
  kubernetes_ = std::move(cluster_ips);
  Addresses changed;
  for (const auto& [holder, held] : held_) {
    if (holder.kind == HolderKind::kNode && held.size() > 1) changed.merge(addresses_of(held));
  }
  return changed;
}

void AddressPolicy::index(const Holder& holder, const std::vector<Endpoint>& held) {
  bool has_first[2] = {false, false};
  for (const Endpoint& each : held) {
    bool& has = has_first[each.address.is_v4() ? 0 : 1];
    const bool is_first = !std::exchange(has, true);
    holders_[each.address].push_back({.holder = holder, .port = each.port, .is_first = is_first});
  }
}

void AddressPolicy::forget(const Holder& holder, const std::vector<Endpoint>& held) {
  for (const Endpoint& each : held) {
    const auto entry = holders_.find(each.address);
    if (entry == holders_.end()) continue;
    std::erase_if(entry->second, [&](const Held& other) { return other.holder == holder; });
    if (entry->second.empty()) holders_.erase(entry);
  }
}

std::optional<std::string> AddressPolicy::refusal(const AddressUse& use) const {
  const auto entry = holders_.find(use.address);
  if (entry == holders_.end()) return std::nullopt;
  const Holder* first = nullptr;  // the same one in any order of events
  for (const Held& held : entry->second) {
    if (protects(held, use) && (!first || held.holder < *first)) first = &held.holder;
  }
  if (!first) return std::nullopt;
  return text_of(*first);
}

bool AddressPolicy::protects(const Held& held, const AddressUse& use) const {
  if (is_own(use.address) && (held.port == 0 || held.port != use.port)) return false;
  const bool is_allocated = use.field <= AddressField::kNodePort;
  switch (held.holder.kind) {
    case HolderKind::kApiServer:
    case HolderKind::kProxy:
      if (is_own(use.address) && use.protocol != ipvs::Protocol::kTcp) return false;
      return !(is_allocated && use.is_kubernetes);
    case HolderKind::kGateway:
      return true;
    case HolderKind::kNameserver:
      return !is_allocated && !(use.field == AddressField::kLoadBalancer && use.answers_dns);
    case HolderKind::kNode:
      return !is_allocated && (held.is_first || !reports_virtual_ips(held.holder));
  }
  return true;
}

bool AddressPolicy::reports_virtual_ips(const Holder& node) const {
  return std::any_of(kubernetes_.begin(), kubernetes_.end(), [&](const Address& address) {
    const auto entry = holders_.find(address);
    return entry != holders_.end() &&
           std::any_of(entry->second.begin(), entry->second.end(),
                       [&](const Held& held) { return held.holder == node; });
  });
}

std::vector<Endpoint> AddressPolicy::held_by(HolderKind kind) const {
  std::vector<Endpoint> all;
  for (const auto& [holder, held] : held_) {
    if (holder.kind == kind) all.insert(all.end(), held.begin(), held.end());
  }
  return all;
}

}  // namespace agent
