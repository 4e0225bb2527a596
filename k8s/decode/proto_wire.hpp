// SPDX-License-Identifier: Apache-2.0
//
// Helper functions for protozero's reader. Private to k8s/decode.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <string_view>

namespace k8s::doc {

inline std::string_view text_of(protozero::pbf_reader& message) {
  const auto view = message.get_view();
  return {view.data(), view.size()};
}

inline bool is_bytes(const protozero::pbf_reader& message) {
  return message.wire_type() == protozero::pbf_wire_type::length_delimited;
}

inline bool is_varint(const protozero::pbf_reader& message) {
  return message.wire_type() == protozero::pbf_wire_type::varint;
}

}  // namespace k8s::doc
