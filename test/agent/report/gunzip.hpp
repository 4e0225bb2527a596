// SPDX-License-Identifier: Apache-2.0
//
// Inflates what was compressed with gzip, for tests.
#pragma once

#include <zlib.h>

#include <array>
#include <stdexcept>
#include <string>

namespace agent::test {

inline std::string gunzip(std::string compressed) {
  z_stream stream{};
  if (::inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) throw std::runtime_error("inflateInit2");
  stream.next_in = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text;
  std::array<char, 4096> piece{};
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    result = ::inflate(&stream, Z_NO_FLUSH);
    text.append(piece.data(), piece.size() - stream.avail_out);
  }
  ::inflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("not gzip, or incomplete");
  return text;
}

}  // namespace agent::test
