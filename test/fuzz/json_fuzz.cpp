// SPDX-License-Identifier: Apache-2.0
//
// JSON: lists, watches and single objects of every kind. The first byte selects kind and frame, the
// second the size of the pieces.
#include "test/fuzz/decoders.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned frame = data[0] / 4 % 3;
  const std::size_t piece = std::size_t{data[1]} % 32 + 1;
  const std::string_view json(reinterpret_cast<const char*>(data) + 2, size - 2);
  fuzz::for_kind(data[0], [&]<typename T>(const T&) {
    if (frame < 2) return fuzz::check_frames<T>(frame, piece, json, k8s::MediaType::kJson);
    const auto decoded = k8s::decode_object<T>(json);
    fuzz::require(!decoded.fault.reason.empty() || !decoded.object.meta.key.name.empty());
    fuzz::require(decoded.fault.text().find('\n') == std::string::npos);
  });
  return 0;
}
