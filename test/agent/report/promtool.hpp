// SPDX-License-Identifier: Apache-2.0
//
// Checks a metrics page with Prometheus' promtool, which must be installed: without it the test
// fails.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace agent::test {

// "" where `promtool check metrics` accepts the text, else what it prints.
inline std::string promtool_complaint(const std::string& text) {
  std::string name = (std::filesystem::temp_directory_path() / "metrics-XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  if (fd < 0) throw std::runtime_error("cannot make a temporary file");
  ::close(fd);
  std::ofstream(name) << text;
  std::FILE* output = ::popen(("promtool check metrics < " + name + " 2>&1").c_str(), "r");
  if (!output) throw std::runtime_error("cannot run promtool");
  std::string said;
  std::array<char, 4096> piece{};
  while (const std::size_t n = std::fread(piece.data(), 1, piece.size(), output)) {
    said.append(piece.data(), n);
  }
  const int status = ::pclose(output);
  std::filesystem::remove(name);
  if (status == 0) return said;
  return "promtool: status " + std::to_string(status) + ": " + said;
}

}  // namespace agent::test
