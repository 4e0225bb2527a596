// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/proto_walk.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "k8s/decode/proto_wire.hpp"
#include "k8s/decode/values.hpp"

namespace k8s::doc {
namespace {

using protozero::pbf_reader;

bool has_type(const pbf_reader& message, FieldType type) {
  const bool is_number = type == FieldType::kInteger || type == FieldType::kBoolean;
  return is_number ? is_varint(message) : is_bytes(message);
}

// What a value of this wire type is called in a refusal.
std::string_view word_of(const pbf_reader& message) {
  return is_bytes(message) ? "a string or a message" : "a number";
}

bool is_text(std::string_view text) { return text.size() <= kMaxStringBytes && is_utf8(text); }

std::string more_than(std::size_t limit, std::string_view what) {
  return "more than " + std::to_string(limit) + ' ' + std::string(what);
}

}  // namespace

void ProtoWalk::begin() {
  attach(visitor_);
  frames_[0] = {};
  depth_ = 1;
  map_key_ = {};
  visitor_.open(kRoot);
}

void ProtoWalk::end() {
  visitor_.close(kRoot);
  depth_ = 0;
}

void ProtoWalk::root_text(std::string_view name, std::string_view text) {
  const auto rows = schema_.at(kRoot);
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const Field& r) { return r.key.name == name; });
  if (row == rows.end()) return;
  frames_[0].field = &*row;
  string(*row, text, false);
  frames_[0].field = nullptr;
}

void ProtoWalk::fields(std::size_t depth, SchemaNode node, Message& message) {
  const Schema::Numbers& numbers = schema_.numbers_at(node);
  const Field* rows = schema_.at(node).data();
  Frame& frame = frames_[depth];
  while (message.next()) {
    const std::uint32_t number = message.tag();
    const std::size_t row = number > kMaxNumber ? 0 : numbers[number];
    if (row == 0) {
      message.skip();
      continue;
    }
    frame.field = rows + (row - 1);
    value(depth, row - 1, message);
  }
  frame.field = nullptr;
}

void ProtoWalk::value(std::size_t depth, std::size_t row, Message& message) {
  Frame& frame = frames_[depth];
  const Field& field = *frame.field;
  const std::uint32_t bit = 1u << row;
  const bool again = (frame.seen & bit) != 0;
  frame.seen |= bit;
  const bool repeats = is_array(field.type) || field.type == FieldType::kMap;
  if (repeats) {
    std::uint32_t& count = counts_[depth][row];
    count = again ? count + 1 : 1;
    frame.count = count;
    if (count > kMaxElements && field.type != FieldType::kMap) {
      refuse(more_than(kMaxElements, "elements"));
      return message.skip();
    }
  } else if (again) {
    refuse("given twice");
    return message.skip();
  }
  if (!has_type(message, field.type)) {
    refuse(misplaced(word_of(message), field.type, true));
    return message.skip();
  }
  switch (field.type) {
    case FieldType::kString:
    case FieldType::kStrings:
      return string(field, text_of(message), field.type == FieldType::kStrings);
    case FieldType::kObject:
    case FieldType::kObjects:
      return object(depth + 1, field, message.get_message());
    case FieldType::kMap:
      return entry(field, frame.count, message.get_message());
    case FieldType::kTime:
      return time(field, message.get_message());
    case FieldType::kInteger:
      return integer(field, message.get_int64());
    case FieldType::kBoolean:
      // Not get_bool(), which reads a byte before it checks for the end of the message.
      return visitor_.scalar(field.to, {.boolean = message.get_uint64() != 0});
    case FieldType::kIntOrString:
      return int_or_string(field, message.get_message());
    case FieldType::kChild:
    case FieldType::kChildren:
      throw std::logic_error("a child in a protobuf message");
  }
}

void ProtoWalk::object(std::size_t depth, const Field& field, Message message) {
  if (depth == kMaxDown) throw std::logic_error("schema deeper than kMaxDown");
  frames_[depth] = {};
  depth_ = depth + 1;
  visitor_.open(field.to);
  fields(depth, field.to, message);
  visitor_.close(field.to);
  depth_ = depth;
}

// map<string, string> is a repeated message { key = 1, value = 2 }.
void ProtoWalk::entry(const Field& field, std::uint32_t count, Message message) {
  std::string_view key;
  std::string_view text;
  while (message.next()) {
    if (!is_bytes(message) || message.tag() > 2) {
      message.skip();
    } else if (message.tag() == 1) {
      key = text_of(message);
    } else {
      text = text_of(message);
    }
  }
  if (key.size() > kMaxKeyBytes) {
    refuse("a key of more than " + std::to_string(kMaxKeyBytes) + " bytes");
  } else if (!is_utf8(key)) {
    refuse("a key that is not UTF-8");
  } else if (count > kMaxElements) {
    refuse(more_than(kMaxElements, "entries"));
  } else if (visitor_.wants(field.to, key)) {
    map_key_ = key;
    if (is_text(text)) {
      visitor_.entry(field.to, key, text);
    } else {
      refuse_text(text);
    }
    map_key_ = {};
  }
}

void ProtoWalk::refuse_text(std::string_view text) {
  if (text.size() > kMaxStringBytes) {
    refuse("a string of more than " + std::to_string(kMaxStringBytes) + " bytes");
  } else {
    refuse(misplaced("text that is not UTF-8", FieldType::kString, false));
  }
}

void ProtoWalk::string(const Field& field, std::string_view text, bool even_empty) {
  if (text.empty() && !even_empty) return;
  if (!is_text(text)) return refuse_text(text);
  visitor_.scalar(field.to, {.text = text, .is_text = true});
}

void ProtoWalk::integer(const Field& field, std::int64_t value) {
  if (value != 0) visitor_.scalar(field.to, {.integer = value});
}

// util/intstr: { type = 1 (0: int, 1: string), intVal = 2, strVal = 3 }
void ProtoWalk::int_or_string(const Field& field, Message message) {
  std::int64_t type = 0;
  std::int64_t number = 0;
  std::string_view text;
  while (message.next()) {
    if (message.tag() == 1 && is_varint(message)) {
      type = message.get_int64();
    } else if (message.tag() == 2 && is_varint(message)) {
      number = message.get_int64();
    } else if (message.tag() == 3 && is_bytes(message)) {
      text = text_of(message);
    } else {
      message.skip();
    }
  }
  if (type == 0) {
    integer(field, number);
  } else {
    string(field, text, false);
  }
}

// metav1.Time: { seconds = 1, nanos = 2 }; the zero time is written as an empty message.
void ProtoWalk::time(const Field& field, Message message) {
  std::optional<std::int64_t> seconds;
  while (message.next()) {
    if (message.tag() == 1 && is_varint(message)) {
      seconds = message.get_int64();
    } else {
      message.skip();
    }
  }
  if (seconds) visitor_.scalar(field.to, {.integer = *seconds});
}

std::string ProtoWalk::text() const {
  std::string path;
  for (std::size_t i = 0; i < depth_ && frames_[i].field != nullptr; ++i) {
    const auto& [field, count, seen] = frames_[i];
    if (!path.empty()) path += '.';
    path += field->key.name;
    if (is_array(field->type)) path += '[' + std::to_string(count - 1) + ']';
  }
  if (!map_key_.empty()) path += '[' + quoted(map_key_) + ']';
  return path;
}

}  // namespace k8s::doc
