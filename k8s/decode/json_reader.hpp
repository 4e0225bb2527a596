// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON by the tables of k8s/decode/document.hpp, as the bytes stream by (private to k8s/).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "k8s/decode/document.hpp"

namespace k8s::doc {

// Nothing but what may stand between two JSON documents.
inline bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

// The incremental parser: one document after another into the same root visitor.
class JsonParser {
 public:
  explicit JsonParser(Visitor& root);
  ~JsonParser();
  JsonParser(const JsonParser&) = delete;
  JsonParser& operator=(const JsonParser&) = delete;

  // Takes bytes up to the end of the document (and the white space after it); returns how many it
  // took. Takes fewer than given only when done() or failed().
  std::size_t write(std::string_view bytes);
  // A whole document has been read.
  bool done() const;
  // The text is not JSON, passes a limit, or the root visitor refused it: nothing more is taken.
  bool failed() const { return !refusal_.reason.empty(); }
  const Refusal& refusal() const { return refusal_; }
  // Ready for the next document.
  void reset();

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
  Visitor& root_;
  std::size_t bytes_ = 0;  // of this document
  Refusal refusal_;
};

}  // namespace k8s::doc
