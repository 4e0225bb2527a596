// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/spread.hpp"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "ipvs/state/stable_hash.hpp"

namespace ipvs {
namespace {

std::uint64_t place_of(std::uint64_t seed, const ServerKey& key, const Endpoint& endpoint) {
  StableHash hash(seed);
  hash.add(key.address);
  hash.add(key.port);
  hash.add(static_cast<std::uint8_t>(key.protocol));
  hash.add(endpoint.address);
  hash.add(endpoint.port);
  return hash.finish();
}

bool nodes_must_agree(std::string_view scheduler) {
  constexpr std::string_view kAgreeing[] = {"sh", "dh", "mh", "fo", "ovf"};
  return std::find(std::begin(kAgreeing), std::end(kAgreeing), scheduler) != std::end(kAgreeing);
}

}  // namespace

Spread::Spread(std::string_view node) {
  StableHash hash;
  hash.add(node);
  seed_ = std::max<std::uint64_t>(hash.finish(), 1);
}

void Spread::arrange(const VirtualServer& server, std::span<ServerOp> fill) const {
  if (seed_ == 0 || nodes_must_agree(server.scheduler)) return;
  std::vector<std::pair<std::uint64_t, Destination>> added;
  for (const ServerOp& op : fill) {
    if (op.command != ServerCommand::kNewDest) continue;
    added.emplace_back(place_of(seed_, server.key, op.destination.endpoint), op.destination);
  }
  if (added.size() < 2) return;
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second.endpoint) < std::tie(b.first, b.second.endpoint);
  });
  auto next = added.begin();
  for (ServerOp& op : fill) {
    if (op.command == ServerCommand::kNewDest) op.destination = (next++)->second;
  }
}

}  // namespace ipvs
