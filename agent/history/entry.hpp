// SPDX-License-Identifier: Apache-2.0
//
// One operation of the kernel, as the history keeps it: what was changed, from what to what, with
// which result, and because of what. A value, and its form as one line of text. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/sync/change_recorder.hpp"

namespace agent {

// Milliseconds since the Unix epoch.
using UnixMilliseconds = std::int64_t;

struct HistoryEntry {
  UnixMilliseconds at = 0;
  std::string command{};   // "NEW_DEST", "RTM_NEWADDR", "NEWSETELEM", ...
  std::string service{};   // "default/web"; "": of no Service
  std::string object{};    // "TCP 10.96.0.1:80", "10.96.0.1", "cluster-ips-4 10.96.0.1 . tcp . 80"
  std::string endpoint{};  // "10.244.1.7:8080"; "": the object itself
  // The state of that key: "" is absent; "weight 1", "rr", "bound", "present".
  std::string before{}, after{};
  int error = 0;                   // errno; 0: done
  std::uint32_t microseconds = 0;  // of the whole batch in the kernel
  Cause cause{};
  bool operator==(const HistoryEntry&) const = default;
};

// Fields separated by tabs, with the end of the line. What is in a field is made printable.
void append_line(std::string& text, const HistoryEntry& entry);
// nullopt: it is no line of ours.
std::optional<HistoryEntry> parse_line(std::string_view line);

}  // namespace agent
