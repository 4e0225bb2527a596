// SPDX-License-Identifier: Apache-2.0
//
// The state machine behind k8s/decode/json_reader.hpp (private to k8s/decode). It receives the
// parser's events, except for values that are being skipped, keeps a stack of schema nodes and
// calls the visitors.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "k8s/decode/document.hpp"

namespace k8s::doc {

// What the parser's handler must do next.
enum class Next : std::uint8_t {
  kRead,  // pass on the next event
  kSkip,  // skip a value: after a key the one that follows, else the one that has just begun
  kStop,  // stop parsing: the frame around the objects refused the document
};

class PathReader final : public Path {
 public:
  explicit PathReader(Visitor& root) : root_(root) { attach(root); }

  Next key(std::string_view key);
  Next begin_object();
  Next end_object();
  Next begin_array();
  Next end_array();
  Next string(std::string_view text);
  Next integer(std::int64_t value);
  Next boolean(bool value);
  Next null();
  Next other_number();                   // not an integer, or out of int64's range
  Next mismatch(std::string_view what);  // a value that no row's type allows
  Next string_too_long();
  Next key_too_long();
  Next refuse_key(std::string reason);  // the current key, of a map

  void reset();

  std::string text() const override;

 private:
  // More than any schema needs (watch event, object, spec, ports, element).
  static constexpr std::size_t kMaxFrames = 24;

  struct Frame {
    Visitor* visitor = nullptr;
    const Field* field = nullptr;   // the row that leads here; null for the outermost document
    std::span<const Field> rows{};  // of an object: the fields that it may have
    std::uint32_t seen = 0;         // bit n: rows[n] has appeared
    std::uint32_t count = 0;        // elements or entries begun
    SchemaNode node = kRoot;
    bool is_array = false;
    bool is_map = false;
  };

  Frame& top() { return frames_[depth_ - 1]; }
  const Frame& top() const { return frames_[depth_ - 1]; }
  void push(const Frame& frame);
  void pop();
  // The row of the value that begins now; null if the value is refused (by the root's type, or one
  // element too many) and so not read.
  const Field* value_begins(std::string_view what) {
    if (depth_ == 0 || top().is_array) return element_begins(what);
    return top().is_map ? top().field : pending_;
  }
  // The same for an element of an array, and for a root that is not an object.
  const Field* element_begins(std::string_view what);
  Next enter(Visitor& visitor, const Field* field, SchemaNode node);
  Next enter_child(const Field& field);
  Next key_in_map(std::string_view key);
  Next scalar(bool fits, const Field* field, const Scalar& value, std::string_view what);
  void refuse(std::string reason);
  void refuse_type(const Field* field, std::string_view what);
  // `next`, or kStop if the frame refused the document.
  Next go_on(Next next = Next::kRead) const;
  static std::size_t capacity(const Frame& frame);

  Visitor& root_;
  std::array<Frame, kMaxFrames> frames_{};
  std::size_t depth_ = 0;
  const Field* pending_ = nullptr;  // the row of the last key, until its value has been read
  std::string map_key_;
};

}  // namespace k8s::doc
