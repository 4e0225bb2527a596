// SPDX-License-Identifier: Apache-2.0
//
// Entries of the history as JSON. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "agent/history/entry.hpp"

namespace agent {

// RFC 3339 with milliseconds, UTC.
std::string time_text(UnixMilliseconds time);
boost::json::object to_json(const HistoryEntry& entry);

}  // namespace agent
