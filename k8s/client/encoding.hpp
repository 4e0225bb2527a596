// SPDX-License-Identifier: Apache-2.0
//
// The time at which a credential plugin's answer expires. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "k8s/types.hpp"

namespace k8s {

// RFC 3339 ("2026-11-22T10:00:00Z", fractions and offsets allowed) to Unix seconds, rounded down.
std::optional<UnixSeconds> parse_timestamp(std::string_view text);

}  // namespace k8s
