// SPDX-License-Identifier: Apache-2.0
//
// The path automaton behind k8s/decode/json_reader.hpp (private to k8s/): it is told the events of the
// parts of a document that are not being skipped, keeps the stack of places, and calls the
// visitors.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "k8s/decode/document.hpp"

namespace k8s::doc {

// What the parser's handler does with what follows.
enum class Next : std::uint8_t {
  kRead,  // go on telling events
  kSkip,  // the value that follows (after a key), or has just begun, is of no interest
  kStop,  // the frame around the objects refused the document
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
  Next mismatch(std::string_view what);  // a value of a shape that belongs nowhere
  Next string_too_long();
  Next key_too_long();
  Next refuse_key(std::string reason);  // of a map

  void reset();

  std::string text() const override;

 private:
  // The schemas are at most this deep (watch event, object, spec, ports, element and some room).
  static constexpr std::size_t kMaxFrames = 24;

  struct Frame {
    Visitor* visitor = nullptr;
    const Field* field = nullptr;   // the row that led here; null for a root
    std::span<const Field> rows{};  // what can follow, for an object
    std::uint32_t seen = 0;         // bit n: rows[n] was given
    std::uint32_t count = 0;        // elements or entries begun
    Place place = kRoot;
    bool is_array = false;
    bool is_map = false;
  };

  Frame& top() { return frames_[depth_ - 1]; }
  const Frame& top() const { return frames_[depth_ - 1]; }
  void push(const Frame& frame);
  void pop();
  // The row of the value that begins now; null when it is not to be read (refused, or one too
  // many).
  const Field* value_begins(std::string_view what) {
    if (depth_ == 0 || top().is_array) return element_begins(what);
    return top().is_map ? top().field : pending_;
  }
  // The same of an element, and of what stands where the root belongs.
  const Field* element_begins(std::string_view what);
  Next enter(Visitor& visitor, const Field* field, Place place);
  Next enter_child(const Field& field);
  Next key_in_map(std::string_view key);
  Next scalar(bool fits, const Field* field, const Scalar& value, std::string_view what);
  void refuse(std::string reason);
  void refuse_shape(const Field* field, std::string_view what);
  // kRead (or kSkip, where that is meant) unless the frame refused the document.
  Next go_on(Next next = Next::kRead) const;
  static std::size_t capacity(const Frame& frame);

  Visitor& root_;
  std::array<Frame, kMaxFrames> frames_{};
  std::size_t depth_ = 0;
  const Field* pending_ = nullptr;  // the row of the key just read
  std::string map_key_;
};

}  // namespace k8s::doc
