// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/notes_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ipvs {
namespace {

// Of lines that are not needed any more, before the file is written anew.
constexpr std::size_t kOutdated = 256;

}  // namespace

NotesFile::NotesFile(const std::string& directory, std::string kernel_and_namespace)
    : kernel_and_namespace_(std::move(kernel_and_namespace)),
      path_(run_file_path(directory, "notes", kernel_and_namespace_)) {}

NotesFile::~NotesFile() { close_file(); }

void NotesFile::close_file() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

Notes NotesFile::read() {
  if (path_.empty()) return {};
  if (const auto text = read_run_file(path_)) notes_ = parse_notes(*text, kernel_and_namespace_);
  is_read_ = true;
  return notes_;
}

bool NotesFile::is_there() const {
  struct stat status {};
  return file_ >= 0 && ::fstat(file_, &status) == 0 && status.st_nlink != 0;
}

bool NotesFile::append(std::string_view text) { return is_there() && write_all(file_, text) == 0; }

Result<void> NotesFile::rewrite() {
  std::string text = notes_heading(kernel_and_namespace_);
  for (const auto& [key, value] : notes_) append_note(text, {key, value});
  const auto file = replace_run_file(path_, text);
  close_file();
  if (!file) {
    return KernelError{file.error().error_number,
                       "writing " + path_ + ", the notes for the next start"};
  }
  file_ = *file;
  lines_ = notes_.size();
  return {};
}

void NotesFile::change(std::span<const Note> notes) {
  if (notes.empty() || path_.empty()) return;
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
  if (lines_ > 2 * notes_.size() + kOutdated || !append(text)) (void)rewrite();
}

Result<void> NotesFile::check() {
  if (path_.empty() || is_there() || notes_.empty()) return {};
  return rewrite();
}

Result<void> NotesFile::remove() {
  notes_.clear();
  close_file();
  if (path_.empty() || ::unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
  const int error = errno;
  return KernelError{error, "deleting " + path_};
}

}  // namespace ipvs
