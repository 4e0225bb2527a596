// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/stale_flows.hpp"

#include <algorithm>
#include <set>

namespace agent {
namespace {

using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;
using Flows = std::vector<ipvs::Kernel::StaleFlow>;

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
  return flows;
}

}  // namespace agent
