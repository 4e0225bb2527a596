// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the field Accept-Encoding of a client: never a crash, and one more element that
// refuses everything is never a reason to compress.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/report/content_coding.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // reinterpret_cast: libFuzzer's bytes are our characters.
  const std::string field(reinterpret_cast<const char*>(data), size);
  static_cast<void>(agent::prefers_gzip(field));
  if (agent::prefers_gzip(field + ",gzip;q=0,x-gzip;q=0,*;q=0")) std::abort();
  return 0;
}
