// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/response_body.hpp"

#include <boost/beast/core/string.hpp>

namespace k8s {
namespace {

constexpr std::size_t kMaxKeptBody = std::size_t{64} * 1024;
constexpr std::size_t kMaxNamedEncoding = 40;

}  // namespace

ResponseBody::ResponseBody(Response& response, const OnChunk& on_chunk, std::string doing)
    : response_(response),
      on_chunk_(on_chunk),
      doing_(std::move(doing)),
      wanted_(response.status >= 200 && response.status < 300 && on_chunk) {}

bool ResponseBody::open(std::string_view encoding, bool gzip_asked, GzipStream::Checksum checksum) {
  if (encoding.empty() || boost::beast::iequals(encoding, "identity")) return true;
  if (gzip_asked && boost::beast::iequals(encoding, "gzip")) {
    gzip_.emplace(checksum);
    return true;
  }
  std::string name;
  for (const char c : encoding.substr(0, kMaxNamedEncoding)) name += c >= ' ' && c <= '~' ? c : '?';
  return end(Response::End::kFailed,
             "the body has an encoding that was not requested (" + name + ")");
}

bool ResponseBody::take(std::string_view piece) {
  if (piece.empty()) return true;
  if (!gzip_) return keep(piece);
  const auto fed = gzip_->feed(piece, [this](std::string_view bytes) { return keep(bytes); });
  if (fed == GzipStream::Fed::kFault) return end(Response::End::kFailed, gzip_->fault());
  return fed == GzipStream::Fed::kGood;
}

bool ResponseBody::finish() {
  if (!gzip_ || gzip_->finished()) return true;
  return end(Response::End::kClosed, "the body ended before its gzip data did");
}

bool ResponseBody::keep(std::string_view bytes) {
  if (!wanted_) {
    response_.body.append(bytes.substr(0, kMaxKeptBody - response_.body.size()));
    return response_.body.size() < kMaxKeptBody;
  }
  if (on_chunk_(bytes)) return true;
  response_.end = Response::End::kStopped;
  return false;
}

bool ResponseBody::end(Response::End end, const std::string& why) {
  response_.end = end;
  response_.what = doing_ + ": " + why;
  return false;
}

}  // namespace k8s
