// SPDX-License-Identifier: Apache-2.0
//
// Networks as ranges of addresses, the form in which nf_tables keeps them. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "ipvs/model.hpp"

namespace ipvs {

// The last address of the network that begins at `first` (its host bits are 0).
Address last_address(const Address& first, std::uint16_t prefix_length);
// The prefix length of the network from `first` to `last`; nullopt where that range is no network.
std::optional<std::uint16_t> prefix_length(const Address& first, const Address& last);
// Whether `address` is in the network; never across families.
bool is_in(const Address& address, const Address& network, std::uint16_t prefix_length);

}  // namespace ipvs
