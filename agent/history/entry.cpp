// SPDX-License-Identifier: Apache-2.0
#include "agent/history/entry.hpp"

#include <array>
#include <charconv>

#include "config/printable.hpp"

namespace agent {
namespace {

constexpr std::size_t kFields = 13;
constexpr std::size_t kLongestField = 512;

template <typename Number>
void append_number(std::string& text, Number number) {
  std::array<char, 24> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  text.append(digits.data(), end);
}

// Nearly always there is nothing to escape.
void append_field(std::string& text, std::string_view field) {
  text += '\t';
  bool is_plain = field.size() <= kLongestField;
  for (const char c : field) is_plain = is_plain && c >= ' ' && c <= '~';
  if (is_plain) {
    text += field;
  } else {
    text += config::printable(field, kLongestField);
  }
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && rest == text.data() + text.size();
}

}  // namespace

void append_line(std::string& text, const HistoryEntry& entry) {
  append_number(text, entry.at);
  for (const std::string* field : {&entry.command, &entry.service, &entry.object, &entry.endpoint,
                                   &entry.before, &entry.after}) {
    append_field(text, *field);
  }
  text += '\t';
  append_number(text, entry.error);
  text += '\t';
  append_number(text, entry.microseconds);
  for (const std::string* field :
       {&entry.cause.object, &entry.cause.verb, &entry.cause.resource_version}) {
    append_field(text, *field);
  }
  text += '\t';
  append_number(text, entry.cause.seen);
  text += '\n';
}

std::optional<HistoryEntry> parse_line(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  std::array<std::string_view, kFields> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const std::size_t tab = line.find('\t');
    const bool is_last = i + 1 == kFields;
    if (is_last != (tab == std::string_view::npos)) return std::nullopt;
    fields[i] = line.substr(0, tab);
    line.remove_prefix(is_last ? line.size() : tab + 1);
  }
  HistoryEntry entry{.command = std::string(fields[1]),
                     .service = std::string(fields[2]),
                     .object = std::string(fields[3]),
                     .endpoint = std::string(fields[4]),
                     .before = std::string(fields[5]),
                     .after = std::string(fields[6]),
                     .cause = {.object = std::string(fields[9]),
                               .verb = std::string(fields[10]),
                               .resource_version = std::string(fields[11])}};
  const bool is_right = parse_number(fields[0], entry.at) && parse_number(fields[7], entry.error) &&
                        parse_number(fields[8], entry.microseconds) &&
                        parse_number(fields[12], entry.cause.seen);
  return is_right ? std::optional(std::move(entry)) : std::nullopt;
}

}  // namespace agent
