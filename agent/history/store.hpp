// SPDX-License-Identifier: Apache-2.0
//
// Keeps lines of history in a directory under --run-dir: a ring of compressed blocks that takes a
// bounded amount of memory (/run is in memory), and outlives the agent, but not a boot.
//
//   DIR/current        the newest lines, as text; appended to
//   DIR/000017.z       256 KiB of older lines each (or one longer batch), zlib; the oldest are deleted
//                      first
//
// A line of a busy node takes about 12 bytes in a block, so 16 MiB hold more than a million.
//
// Threading: not thread-safe; calls block as long as a write to memory does.
// Errors: where nothing can be written, the newest lines are kept in this process only, and fault()
// says why. A block that cannot be read is skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agent {

class HistoryStore {
 public:
  struct Limits {
    std::size_t block = std::size_t{256} * 1024;         // bytes of text
    std::size_t in_all = std::size_t{16} * 1024 * 1024;  // bytes of files
  };
  // `directory` is made with the first line; "": nothing is written.
  explicit HistoryStore(std::string directory) : HistoryStore(std::move(directory), Limits()) {}
  HistoryStore(std::string directory, Limits limits);

  // Whole lines, each with its end.
  void append(std::string_view lines);
  // The blocks that there are, oldest first, and the newest lines last.
  const std::vector<std::uint64_t>& blocks() const { return blocks_; }
  // The text of a block; "": it is gone, or damaged.
  std::string read(std::uint64_t block) const;
  const std::string& current() const { return current_; }
  std::size_t bytes() const { return bytes_; }  // of the blocks
  const std::string& fault() const { return fault_; }

 private:
  std::string path_of(std::uint64_t block) const;
  void seal();
  void drop_oldest();
  void write_current();
  void note_write();

  const std::string directory_;
  const Limits limits_;
  std::vector<std::uint64_t> blocks_;
  std::vector<std::size_t> sizes_;  // of blocks_
  std::size_t bytes_ = 0;
  std::uint64_t next_ = 1;
  std::string current_;
  std::ofstream file_;  // DIR/current; opened by the first append()
  std::string fault_;
};

}  // namespace agent
