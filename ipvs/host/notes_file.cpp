// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/notes_file.hpp"

#include <utility>

namespace ipvs {
namespace {

// Of lines that are not needed any more, before the file is written anew.
constexpr std::size_t kOutdated = 256;

}  // namespace

NotesFile::NotesFile(const std::string& directory, std::string kernel_and_namespace)
    : kernel_and_namespace_(std::move(kernel_and_namespace)),
      file_(run_file_path(directory, "notes", kernel_and_namespace_)) {}

Notes NotesFile::read() {
  if (file_.path().empty()) return {};
  if (const auto text = file_.read()) notes_ = parse_notes(*text, kernel_and_namespace_);
  is_read_ = true;
  return notes_;
}

Result<void> NotesFile::rewrite() {
  std::string text = notes_heading(kernel_and_namespace_);
  for (const auto& [key, value] : notes_) append_note(text, {key, value});
  const auto written = file_.replace(text);
  if (!written) {
    return KernelError{written.error().error_number,
                       "writing " + file_.path() + ", the notes for the next start"};
  }
  lines_ = notes_.size();
  return {};
}

void NotesFile::change(std::span<const Note> notes) {
  if (notes.empty() || file_.path().empty()) return;
  if (!is_read_) read();
  std::string text;
  for (const Note& note : notes) {
    append_note(text, note);
    if (note.value) {
      notes_[note.key] = *note.value;
    } else {
      notes_.erase(note.key);
    }
  }
  lines_ += notes.size();
  if (lines_ > 2 * notes_.size() + kOutdated || !file_.append(text)) (void)rewrite();
}

Result<void> NotesFile::check() {
  if (file_.path().empty() || file_.is_there() || notes_.empty()) return {};
  return rewrite();
}

Result<void> NotesFile::remove() {
  notes_.clear();
  return file_.remove();
}

}  // namespace ipvs
