// SPDX-License-Identifier: Apache-2.0
//
// The numbers a manifest directory can give out: the addresses of one range and the node ports, and
// which of them are taken. Values without I/O; the rule of who gets what is in
// k8s/manifests/allocator.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "k8s/types.hpp"

namespace k8s {

// The same on every machine and in every version: allocations hang on it (FNV-1a, mixed).
std::uint64_t stable_hash(std::string_view text);

bool contains(const Cidr& range, const Address& address);

class AddressPool {
 public:
  explicit AddressPool(const Cidr& range);

  const Cidr& range() const { return range_; }
  // In the range and neither its network nor its broadcast address.
  bool usable(const Address& address) const;
  bool is_free(const Address& address) const { return !taken_.contains(address); }
  void take(const Address& address) { taken_.insert(address); }
  // Takes the first free address from `hash` on; none when the range is used up.
  std::optional<Address> take_by_hash(std::uint64_t hash);

 private:
  Address at(std::uint64_t offset) const;
  std::optional<Address> probe(std::uint64_t first, std::uint64_t count, std::uint64_t hash);

  Cidr range_;
  // Offsets from the network address that may be given out: [first_, first_ + count_), of which the
  // first reserved_ only when the others are taken. A range is used up to its first 2^63 addresses.
  std::uint64_t first_ = 1;
  std::uint64_t count_ = 0;
  std::uint64_t reserved_ = 0;
  std::unordered_set<Address> taken_;
};

class PortPool {
 public:
  PortPool(std::uint16_t first, std::uint16_t last);

  bool in_range(std::uint16_t port) const { return port >= first_ && port <= last_; }
  // False for a port outside of the range, too.
  bool is_free(std::uint16_t port, Protocol protocol) const;
  void take(std::uint16_t port, Protocol protocol);
  // Takes, for `protocol`, the first port from `hash` on which no protocol uses.
  std::optional<std::uint16_t> take_by_hash(std::uint64_t hash, Protocol protocol);

 private:
  std::optional<std::uint16_t> probe(std::uint32_t begin, std::uint32_t count, std::uint64_t hash,
                                     Protocol protocol);

  std::uint16_t first_;
  std::uint16_t last_;
  std::uint32_t reserved_ = 0;
  std::vector<std::uint8_t> taken_;  // by port - first_: one bit for each protocol
};

}  // namespace k8s
