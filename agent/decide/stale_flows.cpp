// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/stale_flows.hpp"

#include <algorithm>
#include <set>

namespace agent {
namespace {

using ipvs::ElementKind;
using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;
using Flows = std::vector<ipvs::Kernel::StaleFlow>;

ServerKey server_of(const ipvs::Element& element) {
  return {element.address, element.port, element.protocol};
}

bool is_udp(const ServerOp& op) { return op.server.key.protocol == ipvs::Protocol::kUdp; }

bool takes_short_cuts(const ipvs::Desired& desired, const ipvs::Owner& owner) {
  const auto elements = desired.elements_of(owner);
  return std::any_of(elements.begin(), elements.end(), [](const ipvs::Element& element) {
    return ipvs::row_of(element.kind).has_target;
  });
}

// An endpoint removed from the cluster IP was also reached through external addresses that have a
// short cut to it.
void add_released(const ServerOp& op, const ipvs::Desired& desired, Flows& flows) {
  const ServerKey& key = op.server.key;
  flows.push_back({.server = key, .endpoint = op.destination.endpoint});
  const ipvs::Owner* owner = desired.owner_of(key);
  if (!owner || !takes_short_cuts(desired, *owner)) return;
  for (const ServerKey& other : desired.servers_of(*owner)) {
    if (other.protocol != key.protocol || other == key) continue;
    if (ipvs::family_of(other.address) != ipvs::family_of(key.address)) continue;
    flows.push_back({.server = other, .endpoint = op.destination.endpoint});
  }
}

// Whether the operation forbids a virtual server to clients that were allowed.
bool takes_permission(const ipvs::ElementOp& op) {
  return op.element.kind == (op.add ? ElementKind::kLimitedIp : ElementKind::kAllowedSource);
}

std::vector<ipvs::Network> allowed_sources(const ipvs::Desired& desired, const ServerKey& key) {
  std::vector<ipvs::Network> allowed;
  const ipvs::Owner* owner = desired.owner_of(key);
  if (!owner) return allowed;
  for (const ipvs::Element& element : desired.elements_of(*owner)) {
    if (element.kind != ElementKind::kAllowedSource || server_of(element) != key) continue;
    allowed.push_back(element.source_network);
  }
  return allowed;
}

// For servers that lost a permission.
void add_forbidden(const std::set<ServerKey>& shrunk, const ipvs::Desired& desired,
                   const ipvs::Ledger& ledger, Flows& flows) {
  for (const ServerKey& key : shrunk) {
    const ipvs::Element limited{.kind = ElementKind::kLimitedIp,
                                .address = key.address,
                                .protocol = key.protocol,
                                .port = key.port};
    // Nobody has used one that does not exist yet, and one without limits any more allows everybody.
    if (!ledger.server(key) || !desired.element(limited)) continue;
    flows.push_back(
        {.server = key, .endpoint = std::nullopt, .kept_clients = allowed_sources(desired, key)});
  }
}

}  // namespace

Flows stale_flows(const ipvs::Changes& changes, const ipvs::Desired& desired,
                  const ipvs::Ledger& ledger) {
  Flows flows;
  for (const ServerOp& op : changes.release) {
    if (is_udp(op)) add_released(op, desired, flows);
  }
  std::set<ServerKey> whole;
  for (const ServerOp& op : changes.dismantle) {
    if (is_udp(op)) whole.insert(op.server.key);
  }
  for (const ServerOp& op : changes.create) {
    if (is_udp(op) && op.command == ServerCommand::kNewService) whole.insert(op.server.key);
  }
  for (const ServerOp& op : changes.fill) {
    if (!is_udp(op) || op.command != ServerCommand::kNewDest) continue;
    const ipvs::Server* held = ledger.server(op.server.key);
    if (held && held->destinations.empty()) whole.insert(op.server.key);
  }
  for (const ServerKey& key : whole) flows.push_back({.server = key, .endpoint = std::nullopt});
  std::set<ServerKey> shrunk;
  for (const auto* phase : {&changes.protect, &changes.unprotect}) {
    for (const ipvs::ElementOp& op : *phase) {
      if (takes_permission(op)) shrunk.insert(server_of(op.element));
    }
  }
  add_forbidden(shrunk, desired, ledger, flows);
  return flows;
}

Flows flows_forbidden_at_start(const ipvs::Desired& desired, const ipvs::Ledger& ledger) {
  std::set<ServerKey> shrunk;
  for (const ipvs::Element& element : desired.elements()) {
    if (element.kind == ElementKind::kLimitedIp && !ledger.element(element))
      shrunk.insert(server_of(element));
  }
  for (const ipvs::Element& element : ledger.elements()) {
    if (element.kind == ElementKind::kAllowedSource && !desired.element(element))
      shrunk.insert(server_of(element));
  }
  Flows flows;
  add_forbidden(shrunk, desired, ledger, flows);
  return flows;
}

}  // namespace agent
