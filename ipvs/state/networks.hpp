// SPDX-License-Identifier: Apache-2.0
//
// Networks as ranges of addresses, the form in which nf_tables keeps them. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "ipvs/state/model.hpp"

namespace ipvs {

// The address that stands for a family where there is none.
Address unspecified(Family family);
// The last address of the network that begins at `first` (its host bits are 0).
Address last_address(const Address& first, std::uint16_t prefix_length);
// The prefix length of the network from `first` to `last`; nullopt where that range is no network.
std::optional<std::uint16_t> prefix_length(const Address& first, const Address& last);
// Whether `address` is in the network; never across families.
bool is_in(const Address& address, const Address& network, std::uint16_t prefix_length);
// Whether two allowed sources are of one virtual server.
bool same_server(const Element& a, const Element& b);
// Whether two different allowed sources of one virtual server have an address in common. The kernel
// holds only one of them at a time: the other is refused with EEXIST (nft_pipapo_insert in
// nft_set_pipapo.c).
bool overlap(const Element& a, const Element& b);

}  // namespace ipvs
