// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/document_path.hpp"

#include <utility>

#include "k8s/decode/values.hpp"

namespace k8s::doc {
namespace {

constexpr std::string_view kObjectWord = "an object";
constexpr std::string_view kArrayWord = "an array";
constexpr std::string_view kStringWord = "a string";
constexpr std::string_view kNumberWord = "a number";
constexpr std::string_view kBooleanWord = "a boolean";
constexpr std::string_view kNullWord = "null";

}  // namespace

void PathReader::reset() {
  depth_ = 0;
  pending_ = nullptr;
  map_key_.clear();
}

void PathReader::push(const Frame& frame) {
  if (depth_ == frames_.size()) throw std::logic_error("schema deeper than kMaxFrames");
  attach(*frame.visitor);
  frames_[depth_++] = frame;
  pending_ = nullptr;
}

void PathReader::pop() {
  --depth_;
  pending_ = nullptr;
}

std::size_t PathReader::capacity(const Frame& frame) {
  return frame.field->type == FieldType::kChildren ? kMaxChildren : kMaxElements;
}

Next PathReader::go_on(Next next) const {
  return root_.is_frame() && !root_.refusal().reason.empty() ? Next::kStop : next;
}

void PathReader::refuse(std::string reason) {
  if (depth_ == 0) return cannot_read(root_, kRoot, std::move(reason));
  const Frame& frame = top();
  const bool in_object = !frame.is_array && !frame.is_map;
  cannot_read(*frame.visitor, in_object && pending_ != nullptr ? pending_->to : frame.node,
              std::move(reason));
}

void PathReader::refuse_type(const Field* field, std::string_view what) {
  if (field == nullptr) return refuse(misplaced(what, FieldType::kObject, false));
  if (top().is_map) return refuse(misplaced(what, FieldType::kString, false));
  refuse(misplaced(what, field->type, top().is_array));
}

const Field* PathReader::element_begins(std::string_view what) {
  if (depth_ == 0) {
    refuse_type(nullptr, what);
    return nullptr;
  }
  Frame& frame = top();
  if (++frame.count > capacity(frame)) {
    refuse("more than " + std::to_string(capacity(frame)) + " elements");
    return nullptr;
  }
  return frame.field;
}

Next PathReader::key(std::string_view key) {
  Frame& frame = top();
  if (frame.is_map) return key_in_map(key);
  for (const Field& row : frame.rows) {
    // Most keys differ in length or in the first byte; comparing those first is cheaper than
    // memcmp.
    if (row.key.name.size() != key.size() || row.key.name.front() != key.front() ||
        row.key.name != key)
      continue;
    const std::uint32_t bit = 1u << (&row - frame.rows.data());
    pending_ = &row;
    if ((frame.seen & bit) != 0) {
      refuse("given twice");
      return go_on(Next::kSkip);
    }
    frame.seen |= bit;
    return Next::kRead;
  }
  pending_ = nullptr;
  return Next::kSkip;
}

Next PathReader::key_in_map(std::string_view key) {
  Frame& frame = top();
  map_key_.clear();
  if (++frame.count > capacity(frame)) {
    refuse("more than " + std::to_string(capacity(frame)) + " entries");
    return go_on(Next::kSkip);
  }
  if (!frame.visitor->wants(frame.node, key)) return Next::kSkip;
  map_key_ = key;
  return Next::kRead;
}

Next PathReader::key_too_long() {
  if (!top().is_map) return Next::kSkip;
  return refuse_key("a key of more than " + std::to_string(kMaxKeyBytes) + " bytes");
}

Next PathReader::refuse_key(std::string reason) {
  map_key_.clear();
  refuse(std::move(reason));
  return go_on(Next::kSkip);
}

Next PathReader::enter(Visitor& visitor, const Field* field, SchemaNode node) {
  const Schema& schema = visitor.schema();
  push({.visitor = &visitor, .field = field, .rows = schema.at(node), .node = node});
  visitor.open(node);
  return go_on();
}

Next PathReader::enter_child(const Field& field) {
  Visitor* child = top().visitor->child(field.to);
  return child == nullptr ? Next::kSkip : enter(*child, &field, kRoot);
}

Next PathReader::begin_object() {
  if (depth_ == 0) return enter(root_, nullptr, kRoot);
  const Field* field = value_begins(kObjectWord);
  if (field == nullptr) return go_on(Next::kSkip);
  const Frame& frame = top();
  if (!frame.is_map && is_array(field->type) == frame.is_array) {
    switch (field->type) {
      case FieldType::kObject:
      case FieldType::kObjects:
        return enter(*frame.visitor, field, field->to);
      case FieldType::kChild:
      case FieldType::kChildren:
        return enter_child(*field);
      case FieldType::kMap:
        push({.visitor = frame.visitor, .field = field, .node = field->to, .is_map = true});
        map_key_.clear();
        return Next::kRead;
      default:
        break;
    }
  }
  refuse_type(field, kObjectWord);
  return go_on(Next::kSkip);
}

Next PathReader::end_object() {
  pending_ = nullptr;
  const Frame ended = top();
  if (!ended.is_map) ended.visitor->close(ended.node);
  pop();
  if (depth_ != 0 && top().visitor != ended.visitor) top().visitor->close(ended.field->to);
  return go_on();
}

Next PathReader::begin_array() {
  const Field* field = value_begins(kArrayWord);
  if (field == nullptr) return go_on(Next::kSkip);
  const Frame& frame = top();
  if (frame.is_map || frame.is_array || !is_array(field->type)) {
    refuse_type(field, kArrayWord);
    return go_on(Next::kSkip);
  }
  push({.visitor = frame.visitor, .field = field, .node = field->to, .is_array = true});
  return Next::kRead;
}

Next PathReader::end_array() {
  pop();
  return Next::kRead;
}

Next PathReader::scalar(bool fits, const Field* field, const Scalar& value, std::string_view what) {
  if (field != nullptr) {
    const Frame& frame = top();
    if (frame.is_map && value.is_text) {
      frame.visitor->entry(frame.node, map_key_, value.text);
    } else if (fits && !frame.is_map && is_array(field->type) == frame.is_array) {
      frame.visitor->scalar(field->to, value);
    } else {
      refuse_type(field, what);
    }
  }
  pending_ = nullptr;
  return go_on();
}

Next PathReader::string(std::string_view text) {
  const Field* field = value_begins(kStringWord);
  const bool fits = field != nullptr &&
                    (field->type == FieldType::kString || field->type == FieldType::kStrings ||
                     field->type == FieldType::kIntOrString || field->type == FieldType::kTime);
  return scalar(fits, field, {.text = text, .is_text = true}, kStringWord);
}

Next PathReader::integer(std::int64_t value) {
  const Field* field = value_begins(kNumberWord);
  const bool fits = field != nullptr &&
                    (field->type == FieldType::kInteger || field->type == FieldType::kIntOrString);
  return scalar(fits, field, {.integer = value}, kNumberWord);
}

Next PathReader::mismatch(std::string_view what) {
  return scalar(false, value_begins(what), {}, what);
}

Next PathReader::boolean(bool value) {
  const Field* field = value_begins(kBooleanWord);
  const bool fits = field != nullptr && field->type == FieldType::kBoolean;
  return scalar(fits, field, {.boolean = value}, kBooleanWord);
}

Next PathReader::null() {
  const Field* field = value_begins(kNullWord);
  if (field != nullptr && top().is_array) refuse_type(field, kNullWord);
  if (field != nullptr && top().is_map) top().visitor->entry(top().node, map_key_, "");
  pending_ = nullptr;
  return go_on();
}

Next PathReader::other_number() { return mismatch("a fraction or a number out of range"); }

Next PathReader::string_too_long() {
  const Field* field = value_begins(kStringWord);
  if (field != nullptr)
    refuse("a string of more than " + std::to_string(kMaxStringBytes) + " bytes");
  pending_ = nullptr;
  return go_on();
}

std::string PathReader::text() const {
  std::size_t base = depth_;
  while (base > 1 && frames_[base - 2].visitor == frames_[depth_ - 1].visitor) --base;
  std::string path;
  const auto add_key = [&path](std::string_view key) {
    if (!path.empty()) path += '.';
    path += key;
  };
  const auto add_index = [&path](const Frame& array) {
    path += '[' + std::to_string(array.count - 1) + ']';
  };
  for (std::size_t i = base; i < depth_; ++i) {
    if (frames_[i - 1].is_array) {
      add_index(frames_[i - 1]);
    } else {
      add_key(frames_[i].field->key.name);
    }
  }
  if (depth_ == 0) return path;
  if (pending_ != nullptr) add_key(pending_->key.name);
  if (top().is_array && top().count > 0) add_index(top());
  if (top().is_map && !map_key_.empty()) path += '[' + quoted(map_key_) + ']';
  return path;
}

}  // namespace k8s::doc
