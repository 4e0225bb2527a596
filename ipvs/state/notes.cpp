// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/notes.hpp"

namespace ipvs {
namespace {

constexpr std::string_view kMagic = "kube-ipvs-notes 1 ";
constexpr std::string_view kEquals = " = ";

void apply_line(std::string_view line, Notes& notes) {
  if (line.size() < 2) return;
  const std::string_view rest = line.substr(1);
  if (line.front() == '-') {
    notes.erase(std::string(rest));
    return;
  }
  const std::size_t equals = rest.find(kEquals);
  if (line.front() != '+' || equals == 0 || equals == std::string_view::npos) return;
  notes[std::string(rest.substr(0, equals))] = rest.substr(equals + kEquals.size());
}

}  // namespace

std::string notes_heading(std::string_view kernel_and_namespace) {
  return std::string(kMagic).append(kernel_and_namespace).append("\n");
}

void append_note(std::string& text, const Note& note) {
  text += note.value ? '+' : '-';
  text += note.key;
  if (note.value) text.append(kEquals).append(*note.value);
  text += '\n';
}

Notes parse_notes(std::string_view text, std::string_view kernel_and_namespace) {
  const std::string heading = notes_heading(kernel_and_namespace);
  if (!text.starts_with(heading)) return {};
  text.remove_prefix(heading.size());
  Notes notes;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    apply_line(text.substr(0, end), notes);
    text.remove_prefix(end + 1);
  }
  return notes;
}

}  // namespace ipvs
