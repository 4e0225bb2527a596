// SPDX-License-Identifier: Apache-2.0
#include "agent/report/accept.hpp"

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>

namespace agent {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// The part before `separator`, which leaves the text with it.
std::string_view take_part(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = trimmed(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool is_plain_text(std::string_view range) {
  std::string_view type = take_part(range, ';');
  const std::string_view main = take_part(type, '/');
  if ((main != "text" && main != "*") || (type != "plain" && type != "*")) return false;
  while (!range.empty()) {
    const std::string_view parameter = take_part(range, ';');
    const bool is_known = parameter.empty() || boost::istarts_with(parameter, "q=") ||
                          boost::iequals(parameter, "charset=utf-8");
    if (!is_known) return false;
  }
  return true;
}

}  // namespace

bool accepts_plain_text(std::string_view accept) {
  if (trimmed(accept).empty()) return true;
  while (!accept.empty()) {
    if (is_plain_text(take_part(accept, ','))) return true;
  }
  return false;
}

}  // namespace agent
