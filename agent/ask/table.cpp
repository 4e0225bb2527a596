// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/table.hpp"

#include <algorithm>

#include "config/printable.hpp"

namespace agent {
namespace {

constexpr std::size_t kLongestCell = 512;

std::string_view code_of(Colour colour) {
  switch (colour) {
    case Colour::kNone:
      return "";
    case Colour::kGood:
      return "\033[32m";
    case Colour::kAttention:
      return "\033[33m";
    case Colour::kBad:
      return "\033[31m";
    case Colour::kFaint:
      return "\033[2m";
  }
  return "";
}

}  // namespace

std::size_t width_of(const std::string& text) {
  // UTF-8: bytes that do not continue a character.
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  }));
}

std::string coloured(const std::string& text, Colour colour, bool colours) {
  const std::string_view code = code_of(colour);
  if (!colours || code.empty()) return text;
  return std::string(code) + text + "\033[0m";
}

std::string table(const std::vector<std::string>& head, const std::vector<Row>& rows,
                  bool colours) {
  std::vector<Row> all;
  all.reserve(rows.size() + 1);
  if (!head.empty()) all.emplace_back(head.begin(), head.end());
  all.insert(all.end(), rows.begin(), rows.end());
  const std::size_t columns = head.empty() && !rows.empty() ? rows.front().size() : head.size();
  std::vector<std::size_t> widths(columns, 0);
  for (Row& row : all) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      row[i].text = config::printable(row[i].text, kLongestCell);
      if (row[i].text.empty()) row[i].text = "-";
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  }
  std::string out;
  for (const Row& row : all) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      out += coloured(row[i].text, row[i].colour, colours);
      if (i + 1 == row.size() || i + 1 == widths.size()) break;
      out += std::string(widths[i] - width_of(row[i].text) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace agent
