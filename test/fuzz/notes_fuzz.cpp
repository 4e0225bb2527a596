// SPDX-License-Identifier: Apache-2.0
//
// The notes for the next start: whatever the file holds, what is read from it can be written and read
// again, and is the same; and the agent's memory takes any note.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/cluster/memory.hpp"
#include "ipvs/state/notes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kHere = "boot net:[1] 1";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ipvs::Notes notes = ipvs::parse_notes(text, kHere);
  std::string again = ipvs::notes_heading(kHere);
  for (const auto& [key, value] : notes) ipvs::append_note(again, {key, value});
  if (ipvs::parse_notes(again, kHere) != notes) std::abort();
  agent::Memory memory;
  memory.load(notes, 1000);
  for (const auto& [service, linger] : memory.lingering()) memory.lingers(service, linger);
  (void)memory.deletion_of({.ns = "default", .name = "web-1"}, 1);
  (void)memory.unready_since({.ns = "default", .name = "web-1"}, 1);
  return 0;
}
