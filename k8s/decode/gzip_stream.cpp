// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/gzip_stream.hpp"

#include <zlib.h>

#include <cassert>
#include <limits>
#include <new>

namespace k8s {
namespace {

// The largest window; plus 16: only the gzip format is accepted (zlib.h, inflateInit2).
constexpr int kGzipWindow = 15 + 16;

}  // namespace

void GzipStream::End::operator()(z_stream_s* stream) const {
  ::inflateEnd(stream);
  delete stream;
}

GzipStream::GzipStream(Checksum checksum)
    : out_(std::make_unique_for_overwrite<char[]>(kMaxPiece)) {
  auto stream = std::make_unique<z_stream>();
  if (::inflateInit2(stream.get(), kGzipWindow) != Z_OK) throw std::bad_alloc();
  if (checksum == Checksum::kIgnore) ::inflateValidate(stream.get(), 0);
  stream_.reset(stream.release());
}

GzipStream::~GzipStream() = default;

GzipStream::Fed GzipStream::feed(std::string_view piece,
                                 const std::function<bool(std::string_view)>& take) {
  if (!fault_.empty()) return Fed::kFault;
  assert(piece.size() <= std::numeric_limits<uInt>::max());
  // zlib only reads through this pointer; its type lacks the const.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
  stream_->avail_in = static_cast<uInt>(piece.size());
  while (!finished_) {
    stream_->next_out = reinterpret_cast<Bytef*>(out_.get());
    stream_->avail_out = kMaxPiece;
    const int result = ::inflate(stream_.get(), Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    const std::string_view made(out_.get(), kMaxPiece - stream_->avail_out);
    if (!made.empty() && !take(made)) return Fed::kStopped;
    if (result == Z_STREAM_END) {
      finished_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      fault_ = "the gzip data is corrupt: ";
      fault_ += stream_->msg != nullptr ? stream_->msg : ::zError(result);
      return Fed::kFault;
    } else if (result == Z_BUF_ERROR || (stream_->avail_in == 0 && stream_->avail_out > 0)) {
      return Fed::kGood;  // all input was read, and there is no more output
    }
  }
  if (stream_->avail_in == 0) return Fed::kGood;
  fault_ = "there are bytes after the end of the gzip data";
  return Fed::kFault;
}

}  // namespace k8s
