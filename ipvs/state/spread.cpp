// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/spread.hpp"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace ipvs {
namespace {

// FNV-1a: the same with every compiler and library, so that an update of the agent changes no order.
constexpr std::uint64_t kOffset = 0xcbf29ce484222325;
constexpr std::uint64_t kPrime = 0x00000100000001b3;

class Hash {
 public:
  explicit Hash(std::uint64_t state) : state_(state) {}

  void add(std::uint8_t byte) { state_ = (state_ ^ byte) * kPrime; }
  void add(std::uint16_t number) {
    add(static_cast<std::uint8_t>(number >> 8));
    add(static_cast<std::uint8_t>(number));
  }
  void add(const Address& address) {
    for (const std::uint8_t byte : address.bytes()) add(byte);
  }
  // The last bytes of FNV-1a reach its low bits only. This finish mixes all of them (MurmurHash3's).
  std::uint64_t finish() const {
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccd;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53;
    return mixed ^ (mixed >> 33);
  }

 private:
  std::uint64_t state_;
};

std::uint64_t place_of(std::uint64_t seed, const ServerKey& key, const Endpoint& endpoint) {
  Hash hash(seed);
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
  Hash hash(kOffset);
  for (const char c : node) hash.add(static_cast<std::uint8_t>(c));
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
