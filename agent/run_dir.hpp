// SPDX-License-Identifier: Apache-2.0
//
// Where the parts that answer questions have their files: below --run-dir, and the socket.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace agent {

inline constexpr std::string_view kHistory = "history", kDrains = "drains";

// In --run-dir; "": there is none. Agents of several network namespaces may share the directory.
std::string in_run_dir(const config::Config& config, std::string_view name);
// "off": questions are not answered.
std::string socket_of(const config::Config& config);

// Removes what they have left there, after a cleanup: nobody asks any more. One line for each that
// cannot be removed.
std::vector<std::string> remove_answers(const config::Config& config);

}  // namespace agent
