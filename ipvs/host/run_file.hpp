// SPDX-License-Identifier: Apache-2.0
//
// Small files in --run-dir that outlive the agent, and are void after a boot: they begin with the
// kernel and the network namespace that they are about. The directory is meant to be in memory
// (/run); nothing is synced.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ipvs/state/kernel_error.hpp"

namespace ipvs {

// Of the running kernel and this thread's network namespace: "BOOT-ID net:[NUMBER] COOKIE"; empty
// if it cannot be found out.
std::string kernel_and_namespace();

// `directory`/`name`-NUMBER with the number of the network namespace, since several may share the
// directory. Empty, which means that there is no file, if the directory or the number is unknown.
std::string run_file_path(const std::string& directory, std::string_view name,
                          const std::string& kernel_and_namespace);

// nullopt if there is no such regular file, or it has more than 64 MiB.
std::optional<std::string> read_run_file(const std::string& path);
// 0, or an errno.
int write_all(int file, std::string_view text);
// Puts `text` in the place of the file, which others see either old or new, and makes the directory
// if it is missing. The result is the new file, open for appending: the caller closes it.
Result<int> replace_run_file(const std::string& path, std::string_view text);

}  // namespace ipvs
