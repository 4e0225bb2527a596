// SPDX-License-Identifier: Apache-2.0
//
// The text of the record of which virtual servers are ours (ipvs/adr-own-record.md). Pure; the file
// is in ipvs/host/own_record_file.hpp.
//
//   kube-ipvs-own-servers 1 0e7c...-boot-id net:[4026531840] 7     version, kernel, namespace
//   +TCP 10.96.0.1 80                                              ours from here on
//   -TCP 10.96.0.1 80                                              and no more
//
// A log: the last line about a virtual server counts. A line without its line break was cut off
// while it was written, and does not count; anything else that is not understood makes the record
// invalid as a whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "ipvs/state/model.hpp"

namespace ipvs {

// `kernel_and_namespace`: what must be the same for a record to be valid.
std::string own_record_heading(std::string_view kernel_and_namespace);
void append_own(std::string& text, const ServerKey& key, bool is_ours);

struct OwnRecord {
  std::unordered_set<ServerKey> servers;
  std::size_t lines = 0;  // those of the log
};
// nullopt: not a valid record of this kernel and namespace.
std::optional<OwnRecord> parse_own_record(std::string_view text,
                                          std::string_view kernel_and_namespace);

}  // namespace ipvs
