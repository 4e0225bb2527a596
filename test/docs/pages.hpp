// SPDX-License-Identifier: Apache-2.0
//
// For tests that compare a page with what the program's tables say, and write it with
// KUBE_IPVS_WRITE_PAGES, which is how it is made: test/docs/write_pages.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "config/options.hpp"

namespace pages {

inline const std::string kRoot = std::string(KUBE_IPVS_SOURCE_DIR) + "/";

inline std::string read(const std::string& path) {
  std::ifstream file(kRoot + path);
  INFO(path);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void compare(const std::string& path, const std::string& page) {
  if (std::getenv("KUBE_IPVS_WRITE_PAGES") != nullptr) std::ofstream(kRoot + path) << page;
  INFO("test/docs/write_pages writes " << path << " again");
  CHECK(read(path) == page);
}

inline std::string spelling(const config::Option& option) {
  std::string text;
  if (option.letter != 0) text += std::string("-") + option.letter + ", ";
  text += "--" + std::string(option.flag);
  if (!option.placeholder.empty()) text += " " + std::string(option.placeholder);
  return text;
}

inline std::string default_of(const config::Option& option) {
  if (!option.default_note.empty()) return std::string(option.default_note);
  if (option.get == nullptr || option.type == config::ValueType::kFlag) return {};
  return option.get(config::Config{});
}

// The heading of a flag in --help: the last line before it that is not indented.
inline std::string heading_of(const config::Option& option, const std::string& help) {
  const std::size_t flag = help.find("\n  " + spelling(option));
  REQUIRE(flag != std::string::npos);
  std::istringstream lines(help.substr(0, flag));
  std::string heading;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.front() != ' ' && line.back() == ':') heading = line;
  }
  REQUIRE(!heading.empty());
  heading.pop_back();
  return heading;
}

}  // namespace pages
