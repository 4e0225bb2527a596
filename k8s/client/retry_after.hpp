// SPDX-License-Identifier: Apache-2.0
//
// The header Retry-After (RFC 9110, section 10.2.3): seconds, or a date. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "k8s/types.hpp"

namespace k8s {

// At most this long: a server that says "tomorrow" is asked again before.
constexpr std::chrono::seconds kMaxRetryAfter{300};

// None if `value` is neither. A date counts from `date`, the response's Date header, so that our
// clock does not matter, or else from `now`; one that has passed is 0 s.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::string_view date,
                                                      UnixSeconds now);

}  // namespace k8s
