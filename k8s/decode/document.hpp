// SPDX-License-Identifier: Apache-2.0
//
// A table of the fields to read (Schema) and the interface that receives their values (Visitor),
// for JSON and protobuf alike. Private to k8s/decode. k8s/decode/README.md shows an example.
//
// A Schema is a table of rows that connect nodes. A row says: at this node, the field with this
// name or number has this type and leads to that node. The readers call the visitor for what the
// rows name, and skip everything else without copying it. They also check the types: a string where
// an integer belongs never reaches the visitor. It costs that value only: it is left out, with its
// path and the reason, and Visitor::unreadable() tells the visitor which.
//
// The readers: json_reader.hpp with the state machine document_path.hpp; proto_reader.hpp with
// proto_walk.hpp.
//
// A JSON null counts as absent, as in Go. In protobuf "" and 0 count as absent too, because Go
// writes them for unset fields. Of a field given twice the second is left out.
//
// Limits: nesting depth 64; 64 KiB for a string that is kept; 16,384 elements in an array or map;
// 1,000,000 in an array of children (the items of a list).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace k8s::doc {

inline constexpr std::size_t kMaxDepth = 64;
inline constexpr std::size_t kMaxKeyBytes = 512;
inline constexpr std::size_t kMaxStringBytes = 64u << 10;
inline constexpr std::size_t kMaxElements = 16u << 10;
inline constexpr std::size_t kMaxChildren = 1'000'000;

// A node of a Schema, numbered by its author. 0 (kRoot) is the document, or the child, itself.
using SchemaNode = std::uint8_t;
inline constexpr SchemaNode kRoot = 0;
inline constexpr std::size_t kMaxNodes = 64;
// The largest protobuf field number that a row can have.
inline constexpr std::uint32_t kMaxNumber = 31;

enum class FieldType : std::uint8_t {
  kObject,
  kObjects,  // an array of objects: the row leads to the node of each element
  kString,
  kStrings,  // an array of strings
  kInteger,
  kBoolean,
  kIntOrString,
  kTime,      // metav1.Time: RFC 3339 text in JSON, a message in protobuf
  kMap,       // map<string, string>: any key
  kChild,     // an object that another visitor reads: Visitor::child()
  kChildren,  // an array of such objects
};

constexpr bool is_array(FieldType type) {
  return type == FieldType::kObjects || type == FieldType::kStrings || type == FieldType::kChildren;
}

// "WHAT where an integer belongs". With `element`, for an array type: what belongs in the array.
std::string misplaced(std::string_view what, FieldType type, bool element);

// The name of a field in JSON, and its number in protobuf (0: JSON only).
struct Key {
  std::string_view name;
  std::uint16_t number = 0;
};

// A row of a Schema.
struct Field {
  SchemaNode at = kRoot;
  Key key;
  FieldType type = FieldType::kString;
  SchemaNode to = kRoot;
};

// The rows of one kind of document, grouped by node, so that a key is compared only with the few
// that may appear there. Built at compile time: a table that breaks a limit does not compile.
class Schema {
 public:
  static constexpr std::size_t kMaxRows = 32;  // of a node
  template <std::size_t N>
  explicit constexpr Schema(const std::array<Field, N>& sorted) : rows_(sorted) {
    for (std::size_t i = 0; i < N; ++i) {
      if (sorted[i].at >= kMaxNodes || (i > 0 && sorted[i].at < sorted[i - 1].at)) {
        throw std::logic_error("rows must be sorted by node");
      }
      ++first_[sorted[i].at + 1];
      if (sorted[i].key.number > kMaxNumber) throw std::logic_error("a field number is too large");
      for (std::size_t j = i; j > 0 && sorted[j - 1].at == sorted[i].at; --j) {
        if (sorted[j - 1].key.name == sorted[i].key.name) {
          throw std::logic_error("two rows of a node have one name");
        }
      }
    }
    for (std::size_t p = 0; p < kMaxNodes; ++p) {
      if (first_[p + 1] > kMaxRows) throw std::logic_error("a node has at most 32 rows");
      first_[p + 1] = static_cast<std::uint8_t>(first_[p + 1] + first_[p]);
    }
    for (std::size_t i = 0; i < N; ++i) {
      const Field& row = sorted[i];
      if (row.key.number == 0) continue;
      std::uint8_t& index = by_number_[row.at][row.key.number];
      if (index != 0) throw std::logic_error("two rows of a node have one number");
      index = static_cast<std::uint8_t>(i - first_[row.at] + 1);
    }
  }
  std::span<const Field> at(SchemaNode node) const {
    return rows_.subspan(first_[node], static_cast<std::size_t>(first_[node + 1] - first_[node]));
  }
  // For each protobuf field number: 1 + the index of its row in at(node); 0: no row.
  using Numbers = std::array<std::uint8_t, kMaxNumber + 1>;
  const Numbers& numbers_at(SchemaNode node) const { return by_number_[node]; }

 private:
  std::span<const Field> rows_;
  std::array<Numbers, kMaxNodes> by_number_{};
  std::array<std::uint8_t, kMaxNodes + 1> first_{};
};

// Joins two tables and sorts the rows by node, as Schema requires.
template <std::size_t N, std::size_t M>
constexpr std::array<Field, N + M> join(const std::array<Field, N>& a,
                                        const std::array<Field, M>& b) {
  std::array<Field, N + M> rows{};
  std::copy(a.begin(), a.end(), rows.begin());
  std::copy(b.begin(), b.end(), rows.begin() + N);
  std::sort(rows.begin(), rows.end(), [](const Field& x, const Field& y) { return x.at < y.at; });
  return rows;
}

// A string, integer or boolean, according to the type of its row. A time is text (JSON) or, in
// `integer`, seconds since the Unix epoch (protobuf).
struct Scalar {
  std::string_view text{};  // valid during the call only
  std::int64_t integer = 0;
  bool boolean = false;
  bool is_text = false;  // which of `text` and `integer` is set, for kIntOrString and kTime
};

// Why a visitor's document was refused, or a field left out. An empty `reason`: it was not.
struct Refusal {
  std::string field;  // "spec.ports[1].port"
  std::string reason;
};

// The values of a document that could not be read and were left out: the first, and how many.
struct LeftOut {
  Refusal first;
  std::size_t count = 0;
};

class Visitor;

// The current position of a reader in its document, from which refusals and left-out fields take
// their path.
class Path {
 public:
  Path() = default;
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
  // The path of the current value, from the root of the visitor that reads it.
  virtual std::string text() const = 0;

 protected:
  ~Path() = default;
  void attach(Visitor& visitor) const;
  // The current value, that of the row which leads to `node`, cannot be read.
  static void cannot_read(Visitor& visitor, SchemaNode node, std::string reason);
};

// Receives the values of one document, or of one child inside a document.
class Visitor {
 public:
  Visitor() = default;
  virtual ~Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  virtual const Schema& schema() const = 0;

  // An object begins (ends): the document, the value of a kObject row, or an element of a kObjects
  // row.
  virtual void open(SchemaNode) {}
  virtual void close(SchemaNode) {}
  virtual void scalar(SchemaNode, const Scalar&) {}
  // For kMap: whether to keep the entry with this key. If so, entry() follows.
  virtual bool wants(SchemaNode, std::string_view /*key*/) { return true; }
  virtual void entry(SchemaNode, std::string_view /*key*/, std::string_view /*value*/) {}
  // For kChild and kChildren: the visitor that reads this object; null: skip it. At its end, the
  // child's close(kRoot) is called, then close() here.
  virtual Visitor* child(SchemaNode) { return nullptr; }
  // A value at this node (or a whole array or object that leads there) was left out, because it has
  // the wrong type, is too long, one too many, or given twice. For fields whose absence means more
  // than "nothing": a selector, a range of allowed sources.
  virtual void unreadable(SchemaNode, const std::string& /*reason*/) {}
  // True for the frame around objects (a list, a watch event): what it cannot read, and what it
  // refuses, ends the stream. False for a reader of objects.
  virtual bool is_frame() const { return false; }

  const Refusal& refusal() const { return refusal_; }
  const LeftOut& left_out() const { return left_out_; }

 protected:
  // Refuses the document because of the current value; `below` (".port") is appended to its path.
  // Only the first refusal is kept. Reading continues to the end of the document, because the
  // object's name may still follow.
  void refuse(std::string reason, std::string_view below = {});
  // The same, with the path of the field given, from the visitor's root.
  void refuse_field(std::string field, std::string reason);
  // Notes that the current value is left out; the document is not refused for it.
  void leave_out(std::string reason, std::string_view below = {});
  void leave_out_field(std::string field, std::string reason);
  void clear_refusal();

 private:
  friend class Path;
  std::string path_to(std::string_view below) const;

  const Path* path_ = nullptr;
  Refusal refusal_;
  LeftOut left_out_;
};

}  // namespace k8s::doc
