// SPDX-License-Identifier: Apache-2.0
//
// Inflates gzip data as it arrives: fed with pieces (of less than 4 GiB), hands out pieces of at
// most kMaxPiece bytes. Pure; zlib does the work (k8s/decode/adr-zlib.md).
//
// One member (RFC 1952), its checksum and length checked at its end, unless TLS has seen to it that
// nothing was changed on the way. Members behind it are allowed
// by the RFC, sent by no API server, and a fault here.
//
// Invariants: what was handed out is what the data says up to there, however it was cut. Memory is
// the 32 KiB window of zlib and one piece, whatever the data claims to become.
// Errors: in fault(), in words; the stream cannot be used after one. Throws std::bad_alloc.
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
  static constexpr std::size_t kMaxPiece = 64 * 1024;

  enum class Fed : std::uint8_t {
    kGood,
    kStopped,  // `take` returned false: what was left of the piece is lost, feed nothing more
    kFault,
  };

  enum class Checksum : std::uint8_t { kVerify, kIgnore };

  explicit GzipStream(Checksum checksum = Checksum::kVerify);
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  // Hands all that can be told from the data so far to `take`; false from it stops at once.
  Fed feed(std::string_view piece, const std::function<bool(std::string_view)>& take);

  // The end was seen, and its checksum and length were right or, with kIgnore, not looked at.
  bool finished() const { return finished_; }
  // "the gzip data is corrupt: incorrect data check"; "" while all is well.
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
