// SPDX-License-Identifier: Apache-2.0
#include "agent/report/content_coding.hpp"

#include <zlib.h>

#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <new>
#include <optional>

#include "agent/report/header_text.hpp"

namespace agent {
namespace {

// "0", "1", "0.5", "1.000" in thousandths.
std::optional<int> weight_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int unit = 100;
  for (std::size_t i = 2; i < text.size(); ++i, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    weight += (text[i] - '0') * unit;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

}  // namespace

bool prefers_gzip(std::string_view accept_encoding) {
  std::optional<int> gzip, identity, any;
  while (!accept_encoding.empty()) {
    std::string_view element = take_part(accept_encoding, ',');
    const std::string_view coding = take_part(element, ';');
    std::optional<int> weight = 1000;
    while (!element.empty()) {
      std::string_view parameter = take_part(element, ';');
      const std::string_view name = take_part(parameter, '=');
      if (boost::iequals(name, "q")) weight = weight_of(trimmed(parameter));
    }
    if (!weight) continue;
    if (boost::iequals(coding, "gzip") || boost::iequals(coding, "x-gzip")) gzip = weight;
    if (boost::iequals(coding, "identity")) identity = weight;
    if (coding == "*") any = weight;
  }
  const int wanted = gzip.value_or(any.value_or(0));
  return wanted > 0 && wanted >= identity.value_or(0);
}

struct GzipEncoder::Stream : z_stream {};

GzipEncoder::GzipEncoder()
    : stream_(std::make_unique<Stream>()), out_(std::size_t{16} * 1024, '\0') {
  constexpr int kGzip = 16;  // added to the window bits: a gzip header, not zlib's
  constexpr int kMemory = 8;
  if (::deflateInit2(stream_.get(), Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + kGzip, kMemory,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
}

GzipEncoder::~GzipEncoder() { ::deflateEnd(stream_.get()); }

std::string_view GzipEncoder::encode(std::string_view part) { return run(part, Z_NO_FLUSH); }
std::string_view GzipEncoder::finish() { return run({}, Z_FINISH); }

std::string_view GzipEncoder::run(std::string_view part, int flush) {
  // zlib does not write to its input.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));  // NOLINT
  stream_->avail_in = static_cast<uInt>(part.size());
  std::size_t length = 0;
  while (true) {
    stream_->next_out = reinterpret_cast<Bytef*>(out_.data() + length);  // NOLINT
    stream_->avail_out = static_cast<uInt>(out_.size() - length);
    ::deflate(stream_.get(), flush);
    length = out_.size() - stream_->avail_out;
    if (stream_->avail_out > 0) return std::string_view(out_).substr(0, length);
    out_.resize(out_.size() * 2);
  }
}

namespace {

boost::asio::awaitable<void> write_gzip(GzipEncoder& encoder, const BodyWriter& write,
                                        std::string_view piece) {
  constexpr std::size_t kPart = std::size_t{8} * 1024;
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kPart);
    piece.remove_prefix(part.size());
    const std::string_view encoded = encoder.encode(part);
    if (encoded.empty()) {
      co_await boost::asio::post(boost::asio::use_awaitable);
    } else {
      co_await write(encoded);
    }
  }
}

}  // namespace

boost::asio::awaitable<void> stream_gzip(
    const std::function<boost::asio::awaitable<void>(BodyWriter)>& body, const BodyWriter& write) {
  GzipEncoder encoder;
  const BodyWriter compress = [&encoder, &write](std::string_view piece) {
    return write_gzip(encoder, write, piece);
  };
  co_await body(compress);
  const std::string_view rest = encoder.finish();
  co_await write(rest);
}

}  // namespace agent
