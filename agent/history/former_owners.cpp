// SPDX-License-Identifier: Apache-2.0
#include "agent/history/former_owners.hpp"

namespace agent {
namespace {

template <typename Owners, typename Key>
std::string_view found(const Owners& owners, const Key& key) {
  const auto at = owners.find(key);
  return at == owners.end() ? std::string_view() : at->second;
}

}  // namespace

const ipvs::Owner* last_owner_of(const ipvs::Desired& desired, const ipvs::ServerKey& key) {
  const ipvs::Owner* owner = desired.owner_of(key);
  return owner ? owner : desired.former_owner_of(key);
}

FormerOwners::FormerOwners(const ChangeRecorder::Batch& batch) {
  for (const auto* ops : {&batch.changes.release, &batch.changes.dismantle}) {
    for (const ipvs::ServerOp& op : *ops) add(op, batch);
  }
}

// Where several Services had it, the first one counts.
void FormerOwners::add(const ipvs::ServerOp& op, const ChangeRecorder::Batch& batch) {
  const ipvs::ServerKey& key = op.server.key;
  const ipvs::Owner* owner = last_owner_of(batch.desired, key);
  if (!owner) return;
  if (op.command == ipvs::ServerCommand::kDelDest) {
    endpoints_.try_emplace(op.destination.endpoint.address, *owner);
  }
  if (op.command != ipvs::ServerCommand::kDelService) return;
  servers_.try_emplace(key, *owner);
  addresses_.try_emplace(key.address, *owner);
  ports_.try_emplace({key.protocol, key.port}, *owner);
  const ipvs::Server* held = batch.before.server(key);
  if (!held) return;
  for (const ipvs::Destination& each : held->destinations) {
    endpoints_.try_emplace(each.endpoint.address, *owner);
  }
}

std::string_view FormerOwners::of(const ipvs::Address& address) const {
  return found(addresses_, address);
}

std::string_view FormerOwners::of(const ipvs::Element& element) const {
  switch (ipvs::row_of(element.kind).scope) {
    case ipvs::ElementScope::kServer:
      return found(servers_, ipvs::ServerKey{element.address, element.port, element.protocol});
    case ipvs::ElementScope::kNodePort:
      return found(ports_, std::pair(element.protocol, element.port));
    case ipvs::ElementScope::kAddress:
      return found(addresses_, element.address);
    case ipvs::ElementScope::kService:
      return found(endpoints_, element.address);
  }
  return {};
}

}  // namespace agent
