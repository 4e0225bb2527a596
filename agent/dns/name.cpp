// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/name.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>

namespace agent::dns {
namespace {

constexpr std::size_t kLongestLabel = 63;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::size_t length_at(std::string_view name, std::size_t at) {
  return static_cast<std::uint8_t>(name[at]);
}

void append(Name& name, std::string_view label) {
  name += static_cast<char>(label.size());
  std::transform(label.begin(), label.end(), std::back_inserter(name), lower);
}

}  // namespace

Name lower_case(std::string_view name) {
  Name result(name);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

std::optional<Name> name_of(std::string_view text) {
  Name name;
  if (text.ends_with('.')) text.remove_suffix(1);
  while (!text.empty()) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel) return std::nullopt;
    append(name, label);
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
    if (text.empty()) return std::nullopt;  // two dots at the end
  }
  name += '\0';
  if (name.size() > kLongestName) return std::nullopt;
  return name;
}

std::optional<Name> below(std::string_view label, const Name& name) {
  const bool fits = !label.empty() && label.size() <= kLongestLabel &&
                    label.find('.') == std::string_view::npos &&
                    1 + label.size() + name.size() <= kLongestName;
  if (!fits) return std::nullopt;
  Name result;
  result.reserve(1 + label.size() + name.size());
  append(result, label);
  return result += name;
}

std::string text_of(std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at < name.size() && length_at(name, at) != 0;) {
    const std::size_t length = length_at(name, at);
    for (const char c : name.substr(at + 1, length)) {
      if (c > ' ' && c < 0x7F && c != '.' && c != '\\') {
        text += c;
        continue;
      }
      std::array<char, 5> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\%03u",
                    static_cast<unsigned>(static_cast<std::uint8_t>(c)));
      text += escaped.data();
    }
    text += '.';
    at += 1 + length;
  }
  return text.empty() ? "." : text;
}

std::string_view parent_of(std::string_view name) { return name.substr(1 + length_at(name, 0)); }

// Labels may contain what looks like the end of another name, so whole labels are passed.
bool is_within(std::string_view name, std::string_view apex) {
  while (name.size() > apex.size()) name = parent_of(name);
  return name == apex;
}

Name reverse_name(const ipvs::Address& address) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  Name name;
  const auto bytes = address.bytes();
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    if (address.is_v4()) {
      append(name, std::to_string(*byte));
      continue;
    }
    append(name, kDigits.substr(*byte & 0xF, 1));
    append(name, kDigits.substr(*byte >> 4, 1));
  }
  append(name, address.is_v4() ? "in-addr" : "ip6");
  append(name, "arpa");
  return name += '\0';
}

}  // namespace agent::dns
