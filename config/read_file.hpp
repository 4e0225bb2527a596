// SPDX-License-Identifier: Apache-2.0
//
// Reads a whole local file: configuration, kubeconfig, manifests, tokens and certificates.
//
// Threading: blocks the caller for as long as the file system takes. Never waits for a writer: a
// FIFO, socket or device is refused.
#pragma once

#include <cstddef>
#include <string>

namespace config {

struct FileText {
  std::string text;
  std::string fault;     // "" when `text` is the file; else "cannot be opened: Permission denied"
  int error_number = 0;  // the errno behind `fault`, where there is one
};

// At most `max_bytes`; a longer file is a fault.
FileText read_file(const std::string& path, std::size_t max_bytes);

// The fault of a text of more than `max_bytes`.
std::string too_long(std::size_t max_bytes);

}  // namespace config
