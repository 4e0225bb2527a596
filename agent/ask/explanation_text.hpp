// SPDX-License-Identifier: Apache-2.0
//
// The JSON of `explain` and `next` as lines for people. Pure. Plain ASCII but for names that are
// not; whatever could move a cursor or hide text is escaped (config/printable.hpp). What is missing
// or of another type is left out: the agent that answered may have another version.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace agent {

// Marks of steps: + it holds, - it does not, ? the source decides.
std::string explanation_text(const boost::json::object& explanation);
std::string next_commands_text(const boost::json::object& next);

}  // namespace agent
