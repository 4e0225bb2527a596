// SPDX-License-Identifier: Apache-2.0
//
// Decompresses gzip data as it arrives, with zlib (k8s/decode/adr-zlib.md). Takes pieces of less
// than 4 GiB and delivers pieces of at most kMaxPiece bytes.
//
// The data is one gzip member (RFC 1952). Its checksum and length are verified at its end, unless
// the caller says kIgnore because TLS has authenticated the data already. The RFC allows more
// members; no API server sends them, and here they are an error.
//
// Invariants: the output does not depend on how the input was split. Memory is zlib's window of 32
// KiB and one piece, however large the decompressed data is.
// Errors: fault() describes the error; the stream is unusable from then on. Throws std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct z_stream_s;

namespace k8s {

class GzipStream {
 public:
  static constexpr std::size_t kMaxPiece = std::size_t{64} * 1024;

  enum class Fed : std::uint8_t {
    kGood,
    kStopped,  // `take` returned false. The rest of the piece is lost: do not feed any more
    kFault,
  };

  enum class Checksum : std::uint8_t { kVerify, kIgnore };

  explicit GzipStream(Checksum checksum = Checksum::kVerify);
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  // Passes everything that can be decompressed so far to `take`, until that returns false.
  Fed feed(std::string_view piece, const std::function<bool(std::string_view)>& take);

  // The data is complete, and its checksum and length are right or, with kIgnore, were not checked.
  bool finished() const { return finished_; }
  // "the gzip data is corrupt: incorrect data check"; "" if there was no error.
  const std::string& fault() const { return fault_; }

 private:
  struct End {
    void operator()(z_stream_s* stream) const;
  };
  std::unique_ptr<z_stream_s, End> stream_;
  std::unique_ptr<char[]> out_;
  bool finished_ = false;
  std::string fault_;
};

}  // namespace k8s
