// SPDX-License-Identifier: Apache-2.0
//
// Networks, and their ranges of addresses, in which form nf_tables keeps them. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>

#include "ipvs/state/model.hpp"

namespace ipvs {

struct Network {
  Address address{};
  std::uint16_t prefix_length = 0;
  bool operator==(const Network&) const = default;
  std::strong_ordering operator<=>(const Network&) const = default;
};

// 0.0.0.0 or ::.
Address unspecified(Family family);
// The last address of the network that begins at `first`, in which the host bits are 0.
Address last_address(const Address& first, std::uint16_t prefix_length);
// The prefix length of the network from `first` to `last`; nullopt if that range is not a network.
std::optional<std::uint16_t> prefix_length(const Address& first, const Address& last);
// Whether `address` is in the network; never across families.
bool is_in(const Address& address, const Address& network, std::uint16_t prefix_length);
bool is_in_any(const Address& address, std::span<const Network> networks);

}  // namespace ipvs
