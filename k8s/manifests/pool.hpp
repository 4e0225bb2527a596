// SPDX-License-Identifier: Apache-2.0
//
// The numbers that can be allocated, and which of them are taken: the addresses of one range, and
// the node ports. Pure; k8s/manifests/allocator.hpp decides which Service gets which.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "k8s/types.hpp"

namespace k8s {

// FNV-1a, mixed. Must be the same on every machine and in every version, because allocations depend
// on it.
std::uint64_t stable_hash(std::string_view text);

bool contains(const Cidr& range, const Address& address);

class AddressPool {
 public:
  explicit AddressPool(const Cidr& range);

  const Cidr& range() const { return range_; }
  // Whether it is in the range, and neither its network nor its broadcast address (IPv4).
  bool usable(const Address& address) const;
  bool is_free(const Address& address) const { return !taken_.contains(address); }
  void take(const Address& address) { taken_.insert(address); }
  // Takes the first free address, starting at `hash`; nullopt if none is free.
  std::optional<Address> take_by_hash(std::uint64_t hash);

 private:
  Address at(std::uint64_t offset) const;
  std::optional<Address> probe(std::uint64_t first, std::uint64_t count, std::uint64_t hash);

  Cidr range_;
  // Offsets from the network address that can be allocated: [first_, first_ + count_), of which the
  // first reserved_ only if the others are taken. Of a range, the first 2^63 addresses are used.
  std::uint64_t first_ = 1;
  std::uint64_t count_ = 0;
  std::uint64_t reserved_ = 0;
  std::unordered_set<Address> taken_;
};

class PortPool {
 public:
  PortPool(std::uint16_t first, std::uint16_t last);

  bool in_range(std::uint16_t port) const { return port >= first_ && port <= last_; }
  // Also false for a port outside the range.
  bool is_free(std::uint16_t port, Protocol protocol) const;
  void take(std::uint16_t port, Protocol protocol);
  // Takes, for `protocol`, the first port that no protocol uses, starting at `hash`.
  std::optional<std::uint16_t> take_by_hash(std::uint64_t hash, Protocol protocol);

 private:
  std::optional<std::uint16_t> probe(std::uint32_t begin, std::uint32_t count, std::uint64_t hash,
                                     Protocol protocol);

  std::uint16_t first_;
  std::uint16_t last_;
  std::uint32_t reserved_ = 0;
  std::vector<std::uint8_t> taken_;  // by port - first_: one bit per protocol
};

}  // namespace k8s
