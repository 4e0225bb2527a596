// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON with the tables of k8s/decode/document.hpp, in pieces as they arrive. Private to
// k8s/decode.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "k8s/decode/document.hpp"

namespace k8s::doc {

// True if `text` is only white space, which may stand between two JSON documents.
inline bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

// An incremental parser that reads one document after another into the same visitor.
class JsonParser {
 public:
  explicit JsonParser(Visitor& root);
  ~JsonParser();
  JsonParser(const JsonParser&) = delete;
  JsonParser& operator=(const JsonParser&) = delete;

  // Parses up to the end of the document and the white space after it. Returns the number of bytes
  // parsed: less than bytes.size() only if done() or failed().
  std::size_t write(std::string_view bytes);
  // A complete document has been read.
  bool done() const;
  // The text is not JSON, exceeds a limit, or was refused by a root visitor that is a frame.
  // write() does nothing from then on.
  bool failed() const { return !refusal_.reason.empty(); }
  const Refusal& refusal() const { return refusal_; }
  // Prepares for the next document.
  void reset();

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
  Visitor& root_;
  std::size_t bytes_ = 0;  // of this document
  Refusal refusal_;
};

}  // namespace k8s::doc
