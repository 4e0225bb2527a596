// SPDX-License-Identifier: Apache-2.0
//
// Times in JSON: RFC 3339, UTC, whole seconds, as in Kubernetes' objects.
#pragma once

#include <chrono>
#include <string>

namespace agent {

std::string rfc3339(std::chrono::system_clock::time_point time);
// The wall clock's time of a moment of the steady clock.
std::string rfc3339(std::chrono::steady_clock::time_point moment,
                    std::chrono::steady_clock::time_point now);

}  // namespace agent
