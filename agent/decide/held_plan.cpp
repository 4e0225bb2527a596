// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/held_plan.hpp"

#include <algorithm>

#include "ipvs/state/networks.hpp"

namespace agent {
namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::ElementScope;
using ipvs::ServerKey;

// Refuses new clients.
Element guard(const ServerKey& key, bool is_node_port) {
  return {.kind = is_node_port ? ElementKind::kGuardedNodePort : ElementKind::kGuardedIp,
          .address = is_node_port ? ipvs::unspecified(ipvs::family_of(key.address)) : key.address,
          .protocol = key.protocol,
          .traffic_class = ipvs::TrafficClass::kRefused,
          .port = key.port};
}

bool is_guard(const ipvs::ElementKindRow& row) {
  return row.kind == ElementKind::kGuardedIp || row.kind == ElementKind::kGuardedNodePort;
}

// The elements that the kernel holds for this virtual server, of kinds with that scope; without
// guards, which are set anew.
void add_elements(const ServerKey& key, ElementScope scope, const ipvs::Ledger& ledger,
                  ipvs::ServicePlan& plan) {
  for (const ipvs::ElementKindRow& row : ipvs::kElementKinds) {
    if (row.scope != scope || is_guard(row)) continue;
    ipvs::Address address = key.address;
    if (scope == ElementScope::kNodePort) {
      address =
          row.shares_families ? ipvs::Address{} : ipvs::unspecified(ipvs::family_of(key.address));
    }
    const Element first{
        .kind = row.kind, .address = address, .protocol = key.protocol, .port = key.port};
    const auto& all = ledger.elements();
    for (auto element = all.lower_bound(first); element != all.end(); ++element) {
      if (element->kind != row.kind || element->address != address) break;
      if (element->protocol != key.protocol || element->port != key.port) break;
      plan.elements.push_back(*element);
    }
  }
}

// A virtual server whose protecting element is lost, with our table, is left out, and so deleted.
void add(const ipvs::Server& held, const ipvs::Ledger& ledger, ipvs::ServicePlan& plan) {
  const ServerKey& key = held.settings.key;
  const bool is_node_port = !ledger.element({.kind = ElementKind::kServiceIp,
                                             .address = key.address,
                                             .protocol = key.protocol,
                                             .port = key.port});
  if (is_node_port &&
      !ledger.element(
          {.kind = ElementKind::kNodePort, .protocol = key.protocol, .port = key.port})) {
    return;
  }
  plan.servers.push_back({.settings = held.settings});
  add_elements(key, is_node_port ? ElementScope::kNodePort : ElementScope::kServer, ledger, plan);
  plan.elements.push_back(guard(key, is_node_port));
  if (is_node_port || !ledger.holds(key.address)) return;
  plan.addresses.push_back(key.address);
  plan.elements.push_back({.kind = ElementKind::kVirtualIp, .address = key.address});
}

}  // namespace

ipvs::ServicePlan held_plan(const ipvs::Ledger& ledger, std::span<const ServerKey> servers) {
  ipvs::ServicePlan plan;
  for (const ServerKey& key : servers) {
    if (const ipvs::Server* held = ledger.server(key)) add(*held, ledger, plan);
  }
  const auto order = [](auto& list, auto less) {
    std::sort(list.begin(), list.end(), less);
    const auto same = [&](const auto& a, const auto& b) { return !less(a, b) && !less(b, a); };
    list.erase(std::unique(list.begin(), list.end(), same), list.end());
  };
  order(plan.servers, [](const auto& a, const auto& b) { return a.settings.key < b.settings.key; });
  order(plan.addresses, [](const auto& a, const auto& b) { return a < b; });
  order(plan.elements, ipvs::ElementKeyLess{});
  return plan;
}

}  // namespace agent
