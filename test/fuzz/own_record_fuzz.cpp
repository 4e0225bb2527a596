// SPDX-License-Identifier: Apache-2.0
//
// The record of which virtual servers are ours: whatever the file holds, what is read from it can
// be written and read again, and is the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ipvs/state/own_record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kHere = "boot net:[1] 1";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto record = ipvs::parse_own_record(text, kHere);
  if (!record) return 0;
  std::string again = ipvs::own_record_heading(kHere);
  for (const ipvs::ServerKey& key : record->servers) ipvs::append_own(again, key, true);
  const auto copy = ipvs::parse_own_record(again, kHere);
  if (!copy || copy->servers != record->servers) std::abort();
  return 0;
}
