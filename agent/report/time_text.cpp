// SPDX-License-Identifier: Apache-2.0
#include "agent/report/time_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace agent {

using std::chrono::steady_clock;
using std::chrono::system_clock;

std::string rfc3339(system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(system_clock::to_time_t(time)));
}

std::string rfc3339(steady_clock::time_point moment, steady_clock::time_point now) {
  return rfc3339(system_clock::now() -
                 std::chrono::duration_cast<system_clock::duration>(now - moment));
}

}  // namespace agent
