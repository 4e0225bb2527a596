// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/departures.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <unordered_map>
#include <utility>

#include "ipvs/state/diff.hpp"

namespace agent {
namespace {

using ipvs::Endpoint;
using ipvs::Owner;
using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;
using Readings = std::unordered_map<ServerKey, const ipvs::ServerReading*>;

struct CauseTexts {
  const char* label;
  const char* text;
};
constexpr CauseTexts kCauses[] = {
    {"drain_timeout", "their time to drain has passed"},
    {"pod_gone", "their endpoints do not exist any more"},
    {"no_draining", "their endpoints cannot drain with this protocol or scheduler"},
    {"port_removed", "the Service has no such port or address any more"},
    {"service_deleted", "the Service was deleted"}};

bool has_connections(const ServerKey& key) { return key.protocol != ipvs::Protocol::kUdp; }

Readings by_key(const std::vector<ipvs::ServerReading>& readings) {
  Readings found;
  for (const ipvs::ServerReading& reading : readings) found[reading.settings.key] = &reading;
  return found;
}

const ipvs::DestinationReading* find(const Readings& readings, const ServerKey& key,
                                     const Endpoint& endpoint) {
  const auto reading = readings.find(key);
  if (reading == readings.end()) return nullptr;
  const auto& all = reading->second->destinations;
  const auto found = std::lower_bound(
      all.begin(), all.end(), endpoint,
      [](const auto& each, const Endpoint& e) { return each.destination.endpoint < e; });
  return found == all.end() || found->destination.endpoint != endpoint ? nullptr : &*found;
}

void add(std::uint64_t count, const Owner& owner, CutCause cause, Departures& result) {
  if (count > 0) result.cut[{owner, cause}] += count;
}

CutCause cause_of(const ServerOp& op, const Owner& owner, const ipvs::Desired& desired,
                  const DrainingConnections::Exists& exists) {
  if (!exists(owner, op.destination.endpoint)) return CutCause::kPodGone;
  const ipvs::Server* server = desired.server(op.server.key);
  return server && ipvs::can_drain(server->settings) ? CutCause::kDrainTimeout
                                                     : CutCause::kNoDraining;
}

}  // namespace

const char* label_of(CutCause cause) { return kCauses[static_cast<std::size_t>(cause)].label; }
const char* text_of(CutCause cause) { return kCauses[static_cast<std::size_t>(cause)].text; }

std::vector<ServerKey> servers_to_read(const ipvs::Changes& changes) {
  std::vector<ServerKey> keys;
  const auto take = [&](const std::vector<ServerOp>& ops, bool all) {
    for (const ServerOp& op : ops) {
      const bool drains = op.command == ServerCommand::kSetDest && op.destination.weight == 0;
      if ((all || drains) && has_connections(op.server.key)) keys.push_back(op.server.key);
    }
  };
  take(changes.fill, false);
  take(changes.release, true);
  take(changes.dismantle, true);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

void DrainingConnections::note(const ipvs::ServerReading& reading, const ipvs::Desired& desired,
                               Departures& result) {
  const ServerKey& key = reading.settings.key;
  const ipvs::Server* wanted = desired.server(key);
  const Owner* owner = desired.owner_of(key);
  if (!wanted || !owner || !has_connections(key)) return;  // conclude() counts what is deleted
  Counts now;
  for (const ipvs::DestinationReading& d : reading.destinations) {
    const Endpoint& endpoint = d.destination.endpoint;
    if (d.destination.weight != 0 || wanted->find(endpoint)) continue;
    const std::uint32_t before = last_count(key, endpoint);
    if (d.active_connections < before) result.drained[*owner] += before - d.active_connections;
    now[endpoint] = d.active_connections;
  }
  if (now.empty()) {
    counts_.erase(key);
  } else {
    counts_[key] = std::move(now);
  }
}

Departures DrainingConnections::checked(std::span<const ServerKey> asked,
                                        std::span<const ipvs::ServerReading> readings,
                                        const ipvs::Desired& desired) {
  Departures result;
  std::set<ServerKey> deleted(asked.begin(), asked.end());
  for (const ipvs::ServerReading& reading : readings) {
    note(reading, desired, result);
    deleted.erase(reading.settings.key);
  }
  for (const ServerKey& key : deleted) counts_.erase(key);  // by somebody else
  return result;
}

void DrainingConnections::forget(const ServerKey& key, const Endpoint& endpoint) {
  const auto counts = counts_.find(key);
  if (counts == counts_.end()) return;
  counts->second.erase(endpoint);
  if (counts->second.empty()) counts_.erase(counts);
}

std::uint32_t DrainingConnections::last_count(const ServerKey& key,
                                              const Endpoint& endpoint) const {
  const auto counts = counts_.find(key);
  if (counts == counts_.end()) return 0;
  const auto count = counts->second.find(endpoint);
  return count == counts->second.end() ? 0 : count->second;
}

Departures DrainingConnections::conclude(const ipvs::Changes& changes, const ipvs::Outcome& outcome,
                                         const ipvs::Desired& desired, const Exists& exists) {
  Departures result;
  for (const ipvs::ServerReading& reading : outcome.leaving) note(reading, desired, result);
  const Readings readings = by_key(outcome.leaving);
  for (std::size_t i = 0; i < changes.fill.size() && !counts_.empty(); ++i) {
    const ServerOp& op = changes.fill[i];
    if (op.destination.weight != 0) forget(op.server.key, op.destination.endpoint);
  }
  for (std::size_t i = 0; i < changes.release.size(); ++i) {
    const ServerOp& op = changes.release[i];
    const ServerKey& key = op.server.key;
    const Endpoint& endpoint = op.destination.endpoint;
    const bool is_gone = outcome.release[i] == ENOENT || outcome.release[i] == ESRCH;
    if (is_gone) forget(key, endpoint);
    if (outcome.release[i] != 0 || !has_connections(key)) continue;
    const auto* read = find(readings, key, endpoint);
    const std::uint32_t count = read ? read->active_connections : last_count(key, endpoint);
    const Owner* owner = desired.owner_of(key);
    if (owner && count > 0) add(count, *owner, cause_of(op, *owner, desired, exists), result);
    forget(key, endpoint);
  }
  for (std::size_t i = 0; i < changes.dismantle.size(); ++i) {
    const ServerKey& key = changes.dismantle[i].server.key;
    if (outcome.dismantle[i] != 0) continue;
    counts_.erase(key);
    const auto reading = readings.find(key);
    if (reading == readings.end()) continue;
    std::uint64_t count = 0;
    for (const auto& d : reading->second->destinations) count += d.active_connections;
    const Owner* former = desired.former_owner_of(key);
    const Owner owner = former ? *former : Owner();
    add(count, owner,
        desired.servers_of(owner).empty() ? CutCause::kServiceDeleted : CutCause::kPortRemoved,
        result);
  }
  return result;
}

std::map<Owner, DrainingConnections::Draining> DrainingConnections::by_service(
    const ipvs::Desired& desired) const {
  std::map<Owner, Draining> all;
  for (const auto& [key, counts] : counts_) {
    const Owner* owner = desired.owner_of(key);
    if (!owner) continue;
    Draining& draining = all[*owner];
    draining.destinations += counts.size();
    for (const auto& [endpoint, count] : counts) draining.connections += count;
  }
  return all;
}

}  // namespace agent
