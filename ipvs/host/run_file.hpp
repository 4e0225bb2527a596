// SPDX-License-Identifier: Apache-2.0
//
// Small files in --run-dir that outlive the agent, and are void after a boot: they begin with the
// kernel and the network namespace that they are about. The directory is meant to be in memory
// (/run); nothing is synced.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ipvs/state/kernel_error.hpp"

namespace ipvs {

// Of the running kernel and this thread's network namespace: "BOOT-ID net:[NUMBER] COOKIE"; empty
// if it cannot be found out.
std::string kernel_and_namespace();

// `directory`/`name`-NUMBER with the number of the network namespace, since several may share the
// directory. Empty, which means that there is no file, if the directory or the number is unknown.
std::string run_file_path(const std::string& directory, std::string_view name,
                          const std::string& kernel_and_namespace);

// Threading: not thread-safe; calls block as long as a write to memory does.
class RunFile {
 public:
  explicit RunFile(std::string path) : path_(std::move(path)) {}
  ~RunFile() { close(); }
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;

  // Empty: there is no file, and nothing is written.
  const std::string& path() const { return path_; }
  // nullopt if there is no such regular file, or it has more than 64 MiB.
  std::optional<std::string> read() const;
  // Puts `text` in the place of the file, which others see either old or new, and makes the directory
  // if it is missing. From then on append() adds to it.
  Result<void> replace(std::string_view text);
  // False: not written, or not as a whole: nobody called replace(), or the file is gone.
  bool append(std::string_view text);
  // Whether the file that replace() wrote is still there.
  bool is_there() const;
  // Whether replace() wrote one, and nobody has closed it.
  bool is_open() const { return file_ >= 0; }
  void close();
  // No error if there is none.
  Result<void> remove();

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace ipvs
