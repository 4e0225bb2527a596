// SPDX-License-Identifier: Apache-2.0
//
// The path automaton of protobuf messages (private to k8s/): walks one by the table of a visitor's
// Schema, in which fields have numbers, and calls the visitor. k8s/decode/document_path.hpp is the same
// for JSON, which comes in pieces; a message lies there whole, so the walk goes down and up with
// it. Tables with kChild and kChildren are not for it: such objects have envelopes.
//
// The elements of an array and the entries of a map are fields of one number, which may stand among
// others. What has no row is skipped unread.
//
// Errors: protozero::exception on bytes that are no protobuf. What fields say is refused through
// the visitor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "k8s/decode/document.hpp"

namespace k8s::doc {

class ProtoWalk final : public Path {
 public:
  explicit ProtoWalk(Visitor& visitor) : visitor_(visitor), schema_(visitor.schema()) {
    attach(visitor);
  }

  // The document begins, has a text that its message does not hold (of the root, by its name; an
  // empty one is none), has this message, and is complete.
  void begin();
  void root_text(std::string_view name, std::string_view text);
  void message(protozero::pbf_reader message) { fields(0, kRoot, message); }
  void end();

  std::string text() const override;

 private:
  using Message = protozero::pbf_reader;

  // The schemas are at most this deep (object, spec, ports, element and some room).
  static constexpr std::size_t kMaxDown = 12;

  // Of a message that is being read.
  struct Frame {
    const Field* field = nullptr;  // the row of the value being read
    std::uint32_t count = 0;       // of its elements or entries so far
    std::uint32_t seen = 0;        // bit n: row n of the place was given
  };

  void fields(std::size_t depth, Place place, Message& message);
  void value(std::size_t depth, std::size_t row, Message& message);
  void object(std::size_t depth, const Field& field, Message message);
  void entry(const Field& field, std::uint32_t count, Message message);
  void string(const Field& field, std::string_view text, bool even_empty);
  void refuse_text(std::string_view text);
  void integer(const Field& field, std::int64_t value);
  void int_or_string(const Field& field, Message message);
  void time(const Field& field, Message message);
  void refuse(std::string reason) { Path::refuse(visitor_, std::move(reason)); }

  Visitor& visitor_;
  const Schema& schema_;
  std::array<Frame, kMaxDown> frames_{};
  std::size_t depth_ = 0;  // frames in use
  // By frame and row, the elements or entries so far. Good only where the frame has seen the row.
  std::array<std::array<std::uint32_t, Schema::kMaxRows>, kMaxDown> counts_{};
  std::string_view map_key_;  // of the entry being read
};

}  // namespace k8s::doc
