// SPDX-License-Identifier: Apache-2.0
//
// Names of DNS in wire form: labels, each after its length, and the root's empty label. Names that
// are kept are in lower case, so that comparing them is comparing bytes (RFC 4343).
//
// Limits of RFC 1035, 2.3.4: a label has 1-63 bytes, a name at most 255.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ipvs/state/address.hpp"

namespace agent::dns {

using Name = std::string;

inline constexpr std::size_t kLongestName = 255;

// Lengths are below 64 and stay as they are.
Name lower_case(std::string_view name);

// "a.b.", "a.b" or "." to wire form in lower case; nothing where a limit is broken.
std::optional<Name> name_of(std::string_view text);
// The label before the name; nothing where a limit is broken or the label has a dot.
std::optional<Name> below(std::string_view label, const Name& name);

// "a.b."; bytes that are no printable character or dots in a label as \DDD.
std::string text_of(std::string_view name);

// The name without its first label. Precondition: it is not the root.
std::string_view parent_of(std::string_view name);
// Whether it is `apex` or below it.
bool is_within(std::string_view name, std::string_view apex);

// The name whose PTR records say who has the address, in in-addr.arpa or ip6.arpa.
Name reverse_name(const ipvs::Address& address);

}  // namespace agent::dns
