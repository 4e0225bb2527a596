// SPDX-License-Identifier: Apache-2.0
#include "config/write.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "config/file.hpp"
#include "config/options.hpp"

namespace config {
namespace {

// A double-quoted YAML string, for any text.
std::string quote(std::string_view value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte / 16];
      out += kHex[byte % 16];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string yaml_value(const Option& option, const Config& config) {
  const std::string value = option.get(config);
  const bool bare = option.type == ValueType::kFlag || option.type == ValueType::kNumber;
  return bare ? value : quote(value);
}

}  // namespace

std::string to_yaml(const Config& config) {
  std::string top =
      "apiVersion: " + std::string(kOurApiVersion) + "\nkind: " + std::string(kOurKind) + "\n";
  std::vector<std::pair<std::string, std::string>> sections;
  for (const Option& option : options()) {
    const std::string_view key = option.own_key.empty() ? option.key : option.own_key;
    if (key.empty() || option.get == nullptr) continue;
    const std::size_t dot = key.find('.');
    if (dot == std::string_view::npos) {
      top += std::string(key) + ": " + yaml_value(option, config) + "\n";
      continue;
    }
    const std::string name(key.substr(0, dot));
    auto place = std::find_if(sections.begin(), sections.end(),
                              [&](const auto& s) { return s.first == name; });
    if (place == sections.end()) place = sections.insert(sections.end(), {name, ""});
    place->second +=
        "  " + std::string(key.substr(dot + 1)) + ": " + yaml_value(option, config) + "\n";
  }
  for (const auto& [name, lines] : sections) top += name + ":\n" + lines;
  return top;
}

}  // namespace config
