// SPDX-License-Identifier: Apache-2.0
//
// Protobuf: lists and watches of every kind. The first byte selects kind and frame, the second the
// size of the pieces.
#include "test/fuzz/decoders.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned frame = data[0] / 4 % 2;
  const std::size_t piece = std::size_t{data[1]} % 32 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  fuzz::for_kind(data[0], [&]<typename T>(const T&) {
    fuzz::check_frames<T>(frame, piece, bytes, k8s::MediaType::kProtobuf);
  });
  return 0;
}
