// SPDX-License-Identifier: Apache-2.0
#include "agent/report/label_text.hpp"

#include <algorithm>

namespace agent {
namespace {

void append_escaped(std::string& to, std::string_view value) {
  const auto is_special = [](char c) { return c == '\n' || c == '\\' || c == '"'; };
  if (std::none_of(value.begin(), value.end(), is_special)) {
    to += value;
    return;
  }
  for (const char c : value) {
    if (c == '\n') {
      to += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') to += '\\';
    to += c;
  }
}

}  // namespace

void append_label(std::string& to, std::string_view name, std::string_view value) {
  to += name;
  to += "=\"";
  append_escaped(to, value);
  to += '"';
}

}  // namespace agent
