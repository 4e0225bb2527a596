// SPDX-License-Identifier: Apache-2.0
//
// In which of the API server's encodings a body comes. Why both: k8s/adr-protobuf.md.
#pragma once

#include <cstdint>
#include <string_view>

namespace k8s {

enum class MediaType : std::uint8_t { kJson, kProtobuf };

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

// What a Content-Type header says; a watch has ";stream=watch" behind it. Whatever is not protobuf
// is read as JSON, whose reader says in words what is wrong with it.
inline MediaType media_type(std::string_view content_type) {
  return content_type.substr(0, content_type.find(';')) == kProtobufType ? MediaType::kProtobuf
                                                                         : MediaType::kJson;
}

}  // namespace k8s
