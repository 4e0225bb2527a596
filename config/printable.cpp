// SPDX-License-Identifier: Apache-2.0
#include "config/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "config/utf8.hpp"

namespace config {
namespace {

// The code point of a valid UTF-8 character.
std::uint32_t code_point(std::string_view character) {
  constexpr std::array<std::uint8_t, 5> kMask{0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t code = static_cast<std::uint8_t>(character[0]) & kMask[character.size()];
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<std::uint8_t>(c) & 0x3f);
  return code;
}

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Unicode's controls (Cc) and format characters (Cf) that are invisible or reorder text, the
// separators U+2028 and U+2029, and the interlinear annotations.
constexpr std::array<Range, 16> kHidden{{{0x00, 0x1f},
                                         {0x7f, 0x9f},
                                         {0xad, 0xad},
                                         {0x34f, 0x34f},
                                         {0x61c, 0x61c},
                                         {0x115f, 0x1160},
                                         {0x17b4, 0x17b5},
                                         {0x180b, 0x180f},
                                         {0x200b, 0x200f},
                                         {0x2028, 0x202e},
                                         {0x2060, 0x206f},
                                         {0x3164, 0x3164},
                                         {0xfe00, 0xfe0f},
                                         {0xfeff, 0xfeff},
                                         {0xfff0, 0xfffb},
                                         {0xe0000, 0xe0fff}}};

bool is_hidden(std::uint32_t code) {
  return std::any_of(kHidden.begin(), kHidden.end(), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

void escape(std::string& out, std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : bytes) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      ((out += "\\x") += kHex[byte >> 4]) += kHex[byte & 15];
    }
  }
}

}  // namespace

std::size_t printable_length(std::string_view text) {
  if (text.empty()) return 0;
  if (text.front() >= ' ' && text.front() <= '~') return 1;
  const std::size_t length = utf8_length(text);
  return length == 0 || is_hidden(code_point(text.substr(0, length))) ? 0 : length;
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const std::size_t shown = printable_length(rest);
    const std::size_t size = shown > 0 ? shown : std::max<std::size_t>(utf8_length(rest), 1);
    const std::size_t before = out.size();
    if (shown > 0) {
      out += rest.substr(0, size);
    } else {
      escape(out, rest.substr(0, size));
    }
    if (out.size() > limit) {
      out.resize(before);
      return out += "... (" + std::to_string(text.size()) + " bytes)";
    }
    at += size;
  }
  return out;
}

std::string printable_quoted(std::string_view text) {
  constexpr std::size_t kMost = 128;
  return "\"" + printable(text, kMost) + "\"";
}

}  // namespace config
