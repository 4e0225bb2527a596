// SPDX-License-Identifier: Apache-2.0
//
// What an agent leaves for the one that starts after it, as lines of text (agent/adr-notes.md says
// what is in them). Pure; the file is in ipvs/host/notes_file.hpp.
//
//   kube-ipvs-notes 1 0e7c...-boot-id net:[4026531840] 7     version, kernel, namespace
//   +pod default/web-1 = 1764403200 30 5120 5150             from here on
//   -pod default/web-1                                       and no more
//
// A log: the last line with a key counts. A line without its line break was cut off while it was
// written, and does not count, nor does one that is not understood: each note is of use without the
// others.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ipvs {

// `key` has neither a line break nor " = ", `value` no line break.
struct Note {
  std::string key;
  std::optional<std::string> value;  // nullopt: no more
  bool operator==(const Note&) const = default;
};
using Notes = std::map<std::string, std::string>;

// `kernel_and_namespace`: what must be the same for notes to be valid.
std::string notes_heading(std::string_view kernel_and_namespace);
void append_note(std::string& text, const Note& note);
// Empty where it is not a valid file of this kernel and namespace.
Notes parse_notes(std::string_view text, std::string_view kernel_and_namespace);

}  // namespace ipvs
