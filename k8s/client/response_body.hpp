// SPDX-License-Identifier: Apache-2.0
//
// Receives the bytes of a response body, inflates gzip, and delivers a 2xx body to on_chunk and any
// other to Response::body. Internal to the API client; does no I/O.
//
// Errors: in the Response. When a function returns false, Response::end has been set.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "k8s/client/api_client.hpp"
#include "k8s/decode/gzip_stream.hpp"

namespace k8s {

class ResponseBody {
 public:
  // `response` has its status, and end kComplete. `doing` is the beginning of every error message.
  // Keeps both references.
  ResponseBody(Response& response, const OnChunk& on_chunk, std::string doing);

  // `encoding`: the Content-Encoding header, "" without one. `gzip_asked`: the request accepted
  // gzip. `checksum`: whether to verify the CRC of the gzip data.
  bool open(std::string_view encoding, bool gzip_asked,
            GzipStream::Checksum checksum = GzipStream::Checksum::kVerify);
  bool take(std::string_view piece);
  // To be called when HTTP has delivered the whole body; false if gzip data is incomplete.
  bool finish();

  // Whether the body is delivered to on_chunk.
  bool wanted() const { return wanted_; }

 private:
  bool keep(std::string_view bytes);
  bool end(Response::End end, const std::string& why);

  Response& response_;
  const OnChunk& on_chunk_;
  const std::string doing_;
  const bool wanted_;
  std::optional<GzipStream> gzip_;
};

}  // namespace k8s
