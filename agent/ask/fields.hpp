// SPDX-License-Identifier: Apache-2.0
//
// Reads fields of an answer that may be missing: an agent of another version may have fewer. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent {

// nullptr: it has no such field, or is no object.
inline const boost::json::value* field(const boost::json::value& of, std::string_view name) {
  return of.is_object() ? of.as_object().if_contains(name) : nullptr;
}
inline std::string text_of(const boost::json::value& of, std::string_view name) {
  const boost::json::value* value = field(of, name);
  return value && value->is_string() ? std::string(value->as_string()) : std::string();
}
inline double number_of(const boost::json::value& of, std::string_view name) {
  const boost::json::value* value = field(of, name);
  return value && value->is_number() ? value->to_number<double>() : 0;
}
inline std::int64_t count_of(const boost::json::value& of, std::string_view name) {
  const boost::json::value* value = field(of, name);
  return value && value->is_number() ? value->to_number<std::int64_t>() : 0;
}
inline bool flag_of(const boost::json::value& of, std::string_view name) {
  const boost::json::value* value = field(of, name);
  return value && value->is_bool() && value->as_bool();
}
inline const boost::json::array& list_of(const boost::json::value& of, std::string_view name) {
  static const boost::json::array kNone;
  const boost::json::value* value = field(of, name);
  return value && value->is_array() ? value->as_array() : kNone;
}

}  // namespace agent
