// SPDX-License-Identifier: Apache-2.0
//
// Walks a protobuf message by the table of a visitor's Schema, finding rows by field number, and
// calls the visitor. Private to k8s/decode. It is to protobuf what k8s/decode/document_path.hpp is
// to JSON. JSON arrives in pieces; a message is complete, so the walk is recursive. Rows of type
// kChild and kChildren are not supported: in protobuf such objects have envelopes.
//
// The elements of an array, and the entries of a map, are fields with the same number, and other
// fields may stand between them. Fields without a row are skipped unread.
//
// Errors: throws protozero::exception if the bytes are not protobuf. A value that cannot be read is
// left out: see Visitor::unreadable().
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

  // Call order: begin(); root_text() for fields of the root that are kept in the envelope (an empty
  // text is ignored); message(); end().
  void begin();
  void root_text(std::string_view name, std::string_view text);
  void message(protozero::pbf_reader message) { fields(0, kRoot, message); }
  void end();

  std::string text() const override;

 private:
  using Message = protozero::pbf_reader;

  // More than any schema needs (object, spec, ports, element).
  static constexpr std::size_t kMaxDown = 12;

  // A message that is being read.
  struct Frame {
    const Field* field = nullptr;  // the row of the current value
    std::uint32_t count = 0;       // elements or entries of that field so far
    std::uint32_t seen = 0;        // bit n: row n of the node has appeared
  };

  void fields(std::size_t depth, SchemaNode node, Message& message);
  void value(std::size_t depth, std::size_t row, Message& message);
  void object(std::size_t depth, const Field& field, Message message);
  void entry(const Field& field, std::uint32_t count, Message message);
  void string(const Field& field, std::string_view text, bool even_empty);
  void refuse_text(std::string_view text);
  void integer(const Field& field, std::int64_t value);
  void int_or_string(const Field& field, Message message);
  void time(const Field& field, Message message);
  void refuse(std::string reason) {
    cannot_read(visitor_, frames_[depth_ - 1].field->to, std::move(reason));
  }

  Visitor& visitor_;
  const Schema& schema_;
  std::array<Frame, kMaxDown> frames_{};
  std::size_t depth_ = 0;  // frames in use
  // By frame and row: elements or entries so far. Valid only if the frame's bit `seen` of the row
  // is set.
  std::array<std::array<std::uint32_t, Schema::kMaxRows>, kMaxDown> counts_{};
  std::string_view map_key_;  // of the current entry
};

}  // namespace k8s::doc
