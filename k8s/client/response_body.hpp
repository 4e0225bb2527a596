// SPDX-License-Identifier: Apache-2.0
//
// Where the bytes of a response's body go: inflated if it comes as gzip, then a 2xx one to on_chunk
// and any other into Response::body. Internal to the API client; does no I/O.
//
// Errors: in the Response. Once a function has returned false, the response has its end.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "k8s/client/api_client.hpp"
#include "k8s/decode/gzip_stream.hpp"

namespace k8s {

class ResponseBody {
 public:
  // `response` has its status, and end kComplete. `doing` begins the words for a fault. Both
  // references are kept.
  ResponseBody(Response& response, const OnChunk& on_chunk, std::string doing);

  // `encoding`: of the Content-Encoding header, "" without. `gzip_asked`: whether the request took
  // it; `checksum`: whether the data's own is to be verified.
  bool open(std::string_view encoding, bool gzip_asked,
            GzipStream::Checksum checksum = GzipStream::Checksum::kVerify);
  bool take(std::string_view piece);
  // The body is whole, as far as HTTP can tell.
  bool finish();

  // Handed to on_chunk.
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
