// SPDX-License-Identifier: Apache-2.0
//
// The HTTP/1.1 text that a fake server needs. Requests must be well formed.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "test/fake/api_store.hpp"

namespace fake {

struct SeenRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  int connection = 0;  // counted from 1
};

Query parse_query(std::string_view text);
// `head`: the request up to and including the empty line.
SeenRequest parse_head(std::string_view head);
std::string chunk_of(std::string_view bytes);
// As one member of gzip data.
std::string gzip(std::string_view bytes);
// `header`: an additional header line, or "".
std::string response_text(unsigned status, const std::string& header, const std::string& body,
                          const std::string& type = "application/json");

}  // namespace fake
