// SPDX-License-Identifier: Apache-2.0
//
// Reads a whole local file: configuration, kubeconfig, manifests, tokens and certificates.
//
// Threading: blocks the caller while the file system works. Never waits for a writer: a FIFO,
// socket or device is refused.
#pragma once

#include <cstddef>
#include <string>

namespace config {

struct FileText {
  std::string text;
  std::string fault;     // "" on success; else for example "cannot be opened: Permission denied"
  int error_number = 0;  // the errno of `fault`; 0 if it has none
};

// At most `max_bytes`; a longer file is a fault.
FileText read_file(const std::string& path, std::size_t max_bytes);

// The fault for a text longer than `max_bytes`.
std::string too_long(std::size_t max_bytes);

}  // namespace config
