// SPDX-License-Identifier: Apache-2.0
//
// The encoding of a response of the API server. Why there are two: k8s/decode/adr-protobuf.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace k8s {

enum class MediaType : std::uint8_t { kJson, kProtobuf };

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

// The encoding that a Content-Type header names. Parameters (";stream=watch" of a watch), case, and
// white space around the type are ignored (RFC 9110, 8.3.1). Everything that is not protobuf counts
// as JSON: if it is something else, the JSON reader's error says so.
inline MediaType media_type(std::string_view content_type) {
  constexpr std::string_view kSpace = " \t";
  std::string_view type = content_type.substr(0, content_type.find(';'));
  type.remove_prefix(std::min(type.find_first_not_of(kSpace), type.size()));
  type = type.substr(0, type.find_last_not_of(kSpace) + 1);
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(type, kProtobufType, {}, lower) ? MediaType::kProtobuf
                                                            : MediaType::kJson;
}

}  // namespace k8s
