// SPDX-License-Identifier: Apache-2.0
//
// Compressed bodies. The first byte selects the size of the pieces. The rest, taken as gzip data,
// must give the same text and the same fault in one piece and in several; taken as text, it must be
// the same after compressing and decompressing.
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "k8s/decode/gzip_stream.hpp"

namespace {

using k8s::GzipStream;

// A few bytes can decompress to a thousand times as many.
constexpr std::size_t kEnough = 1u << 20;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Outcome {
  GzipStream::Fed fed = GzipStream::Fed::kGood;
  std::string text;
  std::string fault;
  bool finished = false;
  bool operator==(const Outcome&) const = default;
};

Outcome inflated(std::string_view data, std::size_t size) {
  Outcome out;
  GzipStream stream;
  const auto take = [&](std::string_view bytes) {
    require(!bytes.empty() && bytes.size() <= GzipStream::kMaxPiece);
    out.text += bytes.substr(0, kEnough - out.text.size());
    return out.text.size() < kEnough;
  };
  while (!data.empty() && out.fed == GzipStream::Fed::kGood) {
    out.fed = stream.feed(data.substr(0, size), take);
    data.remove_prefix(std::min(size, data.size()));
  }
  out.finished = stream.finished();
  out.fault = stream.fault();
  require((out.fed == GzipStream::Fed::kFault) == !out.fault.empty());
  return out;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  require(::deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  require(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = std::size_t{data[0]} % 64 + 1;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  Outcome whole = inflated(rest, rest.size() + 1);
  Outcome cut = inflated(rest, piece);
  // If one stopped at kEnough, it may or may not have seen the end of the data and what follows it.
  if (whole.text.size() == kEnough || cut.text.size() == kEnough) {
    require(whole.text == cut.text);
  } else {
    require(whole == cut);
  }
  const Outcome back = inflated(gzip(rest), piece);
  require(back.finished && back.fault.empty() && back.text == rest);
  return 0;
}
