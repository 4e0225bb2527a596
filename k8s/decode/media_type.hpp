// SPDX-License-Identifier: Apache-2.0
//
// In which of the API server's encodings a body comes. Why both: k8s/decode/adr-protobuf.md.
#pragma once

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <cstdint>
#include <string_view>

namespace k8s {

enum class MediaType : std::uint8_t { kJson, kProtobuf };

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

// What a Content-Type header says, in any case and with white space around it (RFC 9110, 8.3.1); a
// watch has ";stream=watch" behind it. Whatever is not protobuf is read as JSON, whose reader says
// in words what is wrong with it.
inline MediaType media_type(std::string_view content_type) {
  constexpr std::string_view kSpace = " \t";
  std::string_view type = content_type.substr(0, content_type.find(';'));
  type.remove_prefix(std::min(type.find_first_not_of(kSpace), type.size()));
  type = type.substr(0, type.find_last_not_of(kSpace) + 1);
  return boost::beast::iequals(type, kProtobufType) ? MediaType::kProtobuf : MediaType::kJson;
}

}  // namespace k8s
