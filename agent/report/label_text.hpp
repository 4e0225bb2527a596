// SPDX-License-Identifier: Apache-2.0
//
// Labels in Prometheus' text format.
#pragma once

#include <string>
#include <string_view>

namespace agent {

// Appends `name="value"`; a backslash, a quote and a line break in the value are escaped. `name` may
// begin with what comes before it: ",pod".
void append_label(std::string& to, std::string_view name, std::string_view value);

}  // namespace agent
