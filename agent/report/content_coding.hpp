// SPDX-License-Identifier: Apache-2.0
//
// gzip for answers of the HTTP server, if the client asks for it (RFC 9110, 12.5.3).
//
// Threading: none of its own. One GzipEncoder compresses one body; it uses 256 KiB.
// Errors: std::bad_alloc.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/report/http_server.hpp"

namespace agent {

// Whether a client with this Accept-Encoding prefers gzip to the text as it is. The field may be "",
// and may have several lines joined by commas; an element that cannot be understood is ignored.
bool prefers_gzip(std::string_view accept_encoding);

class GzipEncoder {
 public:
  GzipEncoder();
  ~GzipEncoder();

  // Takes the next part of the body; returns what is compressed so far, often nothing. The result is
  // valid until the next call. Fastest level: a page is made for each scrape, and its lines differ
  // little.
  std::string_view encode(std::string_view part);
  // The rest, after the last part.
  std::string_view finish();

 private:
  std::string_view run(std::string_view part, int flush);

  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::string out_;
};

// Calls `body` with a writer that compresses, in parts that take a fraction of a millisecond each,
// with other work of the event loop between them, and writes the result with `write`.
boost::asio::awaitable<void> stream_gzip(
    const std::function<boost::asio::awaitable<void>(BodyWriter)>& body, const BodyWriter& write);

}  // namespace agent
