// SPDX-License-Identifier: Apache-2.0
//
// What is read of a document, whatever its encoding: the parts that a table names (private to
// k8s/). k8s/decode/json_reader.hpp and k8s/decode/proto_reader.hpp read JSON and protobuf by it, each with a
// path automaton of its own: k8s/decode/document_path.hpp, k8s/decode/proto_walk.hpp.
//
// A Schema is the path automaton: each row says which key at which place leads where, and what
// shape belongs there. A Visitor receives what was found at its places; everything else is passed
// over and never copied. The row also checks the shape, so a visitor never sees a string where a
// number belongs: that is refused, with the path, before it gets there.
//
// JSON null is the same as an absent field, as in Go, and so are "" and 0 in protobuf alone, which
// Go writes for what is not set. A key given twice is refused.
//
// Limits: depth 64; kept strings 64 KiB; 16,384 elements in an array or map; 1,000,000 in an array
// of children (the items of a list).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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

// A node of the automaton, numbered by the schema's author. 0 is the document (or the child)
// itself.
using Place = std::uint8_t;
inline constexpr Place kRoot = 0;
inline constexpr std::size_t kMaxPlaces = 64;
// The largest number of a protobuf field that a row can have.
inline constexpr std::uint32_t kMaxNumber = 31;

enum class Shape : std::uint8_t {
  kObject,
  kObjects,  // an array of objects: `to` is the place of each element
  kString,
  kStrings,  // an array of strings
  kInteger,
  kBoolean,
  kIntOrString,
  kTime,      // metav1.Time: RFC 3339 text in JSON, a message in protobuf
  kMap,       // an object whose keys are data and whose values are strings
  kChild,     // an object that another visitor reads: Visitor::child()
  kChildren,  // an array of those
};

constexpr bool is_array(Shape shape) {
  return shape == Shape::kObjects || shape == Shape::kStrings || shape == Shape::kChildren;
}

// "WHAT where an integer belongs"; `element`: inside the array, where the shape is one.
std::string misplaced(std::string_view what, Shape shape, bool element);

// What a field is called in JSON, and its number in protobuf (0: there is none).
struct Key {
  std::string_view name;
  std::uint16_t number = 0;
};

struct Field {
  Place at = kRoot;
  Key key;
  Shape shape = Shape::kString;
  Place to = kRoot;
};

// The rows of one kind of document, grouped by place so that a key is compared only with the few
// that can stand where it does. Built at compile time; a table that breaks the limits does not
// compile.
class Schema {
 public:
  static constexpr std::size_t kMaxRows = 32;  // of a place
  template <std::size_t N>
  explicit constexpr Schema(const std::array<Field, N>& sorted) : rows_(sorted) {
    for (std::size_t i = 0; i < N; ++i) {
      if (sorted[i].at >= kMaxPlaces || (i > 0 && sorted[i].at < sorted[i - 1].at)) {
        throw std::logic_error("rows must be sorted by place");
      }
      ++first_[sorted[i].at + 1];
      if (sorted[i].key.number > kMaxNumber) throw std::logic_error("a field number too large");
      for (std::size_t j = i; j > 0 && sorted[j - 1].at == sorted[i].at; --j) {
        if (sorted[j - 1].key.name == sorted[i].key.name) {
          throw std::logic_error("two fields of a place have one name");
        }
      }
    }
    for (std::size_t p = 0; p < kMaxPlaces; ++p) {
      if (first_[p + 1] > kMaxRows) throw std::logic_error("a place has at most 32 fields");
      first_[p + 1] = static_cast<std::uint8_t>(first_[p + 1] + first_[p]);
    }
    for (std::size_t i = 0; i < N; ++i) {
      const Field& row = sorted[i];
      if (row.key.number == 0) continue;
      std::uint8_t& index = by_number_[row.at][row.key.number];
      if (index != 0) throw std::logic_error("two fields of a place have one number");
      index = static_cast<std::uint8_t>(i - first_[row.at] + 1);
    }
  }
  std::span<const Field> at(Place place) const {
    return rows_.subspan(first_[place],
                         static_cast<std::size_t>(first_[place + 1] - first_[place]));
  }
  // By the number of a protobuf field: the index of its row in at(place), and one; 0: none.
  using Numbers = std::array<std::uint8_t, kMaxNumber + 1>;
  const Numbers& numbers_at(Place place) const { return by_number_[place]; }

 private:
  std::span<const Field> rows_;
  std::array<Numbers, kMaxPlaces> by_number_{};
  std::array<std::uint8_t, kMaxPlaces + 1> first_{};
};

// Joins two tables and sorts the rows by place, as Schema wants them.
template <std::size_t N, std::size_t M>
constexpr std::array<Field, N + M> join(const std::array<Field, N>& a,
                                        const std::array<Field, M>& b) {
  std::array<Field, N + M> rows{};
  std::copy(a.begin(), a.end(), rows.begin());
  std::copy(b.begin(), b.end(), rows.begin() + N);
  std::sort(rows.begin(), rows.end(), [](const Field& x, const Field& y) { return x.at < y.at; });
  return rows;
}

// A string, integer or boolean value, of the shape its row asks for. A time is text or, in
// `integer`, seconds since the Unix epoch.
struct Scalar {
  std::string_view text{};  // valid during the call only
  std::int64_t integer = 0;
  bool boolean = false;
  bool is_text = false;  // tells the two apart for kIntOrString and kTime
};

// Why a visitor's document was refused; empty `reason`: it was not.
struct Refusal {
  std::string field;  // "spec.ports[1].port"
  std::string reason;
};

class Visitor;

// Where in a document its reader is: a path automaton, which is told of by the visitors it calls.
class Path {
 public:
  Path() = default;
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
  // The path of the value being read, from the root of the visitor that reads it.
  virtual std::string text() const = 0;

 protected:
  ~Path() = default;
  void attach(Visitor& visitor) const;
  static void refuse(Visitor& visitor, std::string reason);
};

// What reads one document, or one child inside another's.
class Visitor {
 public:
  Visitor() = default;
  virtual ~Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  virtual const Schema& schema() const = 0;

  // The object at `place` (kRoot first, or one element of an array) begins, and is complete.
  virtual void open(Place) {}
  virtual void close(Place) {}
  virtual void scalar(Place, const Scalar&) {}
  // For kMap: whether the entry with this key is to be kept; if so its value follows.
  virtual bool wants(Place, std::string_view /*key*/) { return true; }
  virtual void entry(Place, std::string_view /*key*/, std::string_view /*value*/) {}
  // For kChild and kChildren: who reads the object that begins at `place`. When it is complete,
  // close() of the child's root and then close(place) here are called.
  virtual Visitor* child(Place) { return nullptr; }
  // True for the frame around objects: what it refuses ends the parsing. An object reader says
  // false.
  virtual bool is_frame() const { return false; }

  const Refusal& refusal() const { return refusal_; }

 protected:
  // Refuses the document because of the value being read; `below` is appended to its path
  // (".port"). The first refusal stands. Reading goes on, so that the object's name is learned in
  // any key order.
  void refuse(std::string reason, std::string_view below = {});
  // The same for a field named from the visitor's root.
  void refuse_field(std::string field, std::string reason);
  void clear_refusal() { refusal_ = {}; }

 private:
  friend class Path;
  const Path* path_ = nullptr;
  Refusal refusal_;
};

}  // namespace k8s::doc
