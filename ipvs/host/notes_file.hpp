// SPDX-License-Identifier: Apache-2.0
//
// The file of notes for the agent that starts next (ipvs/state/notes.hpp), beside the record of what
// is ours. After a boot it is void.
//
// Threading: not thread-safe; calls block as long as a write to memory does.
// Errors: a file that cannot be read is as if there were none: durations begin anew, no more. What
// cannot be written is kept in memory, and tried again by check() and by the next change.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "ipvs/host/run_file.hpp"
#include "ipvs/state/kernel_error.hpp"
#include "ipvs/state/notes.hpp"

namespace ipvs {

class NotesFile {
 public:
  // The file is `directory`/notes-NUMBER (run_file_path()). An empty `directory`: no file.
  NotesFile(const std::string& directory, std::string kernel_and_namespace);

  // What an earlier agent wrote. From here on that is what the changes are made to.
  Notes read();
  // One write. The file is written anew when most of its lines are outdated.
  void change(std::span<const Note> notes);

  // Writes the file if it is gone or could not be written.
  Result<void> check();
  Result<void> remove();

 private:
  Result<void> rewrite();

  const std::string kernel_and_namespace_;
  RunFile file_;
  bool is_read_ = false;
  std::size_t lines_ = 0;  // in the file
  Notes notes_;
};

}  // namespace ipvs
