// SPDX-License-Identifier: Apache-2.0
#include "agent/report/accept.hpp"

#include <boost/algorithm/string/predicate.hpp>

#include "agent/report/header_text.hpp"

namespace agent {
namespace {

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
