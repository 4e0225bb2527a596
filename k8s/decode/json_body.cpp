// SPDX-License-Identifier: Apache-2.0
//
// Reads lists and watch events in JSON.
#include <utility>

#include "k8s/decode/json_reader.hpp"
#include "k8s/decode/stream_body.hpp"

namespace k8s {
namespace {

// The list: {"kind": "PodList", "metadata": {...}, "items": [...]}. Or a metav1.Status instead.

enum : SchemaNode { kItem = kFirstOwn };

constexpr auto kListFields = doc::join(
    kStatusFields, std::array{
                       Field{doc::kRoot, {"kind"}, FieldType::kString, kKind},
                       Field{doc::kRoot, {"metadata"}, FieldType::kObject, kMetadata},
                       Field{kMetadata, {"resourceVersion"}, FieldType::kString, kResourceVersion},
                       Field{kMetadata, {"continue"}, FieldType::kString, kContinue},
                       Field{doc::kRoot, {"items"}, FieldType::kChildren, kItem},
                   });
constexpr Schema kListSchema(kListFields);

class JsonList final : public ListBody, private doc::Visitor {
 public:
  JsonList(MetaReader& reader, std::function<void()> on_item)
      : ListBody(reader), on_item_(std::move(on_item)), parser_(*this) {}

  bool finish() override {
    if (!good()) return false;
    if (!parser_.done()) return fail("", "not JSON: it ends inside the document");
    return has_kind_ || fail("kind", "missing");
  }

 private:
  bool take(std::string_view bytes) override {
    bytes.remove_prefix(parser_.write(bytes));
    if (parser_.failed()) return fail(parser_.refusal().field, parser_.refusal().reason);
    return doc::is_blank(bytes) || fail("", "not JSON: more text after the document");
  }

  const Schema& schema() const override { return kListSchema; }
  bool is_frame() const override { return true; }
  doc::Visitor* child(SchemaNode) override { return &reader_; }

  void scalar(SchemaNode node, const Scalar& value) override {
    switch (node) {
      case kKind:
        if (std::string why = take_kind(value.text); !why.empty()) refuse(std::move(why));
        return;
      case kResourceVersion:
        resource_version_ = value.text;
        return;
      case kContinue:
        continue_token_ = value.text;
        return;
      default:
        take_status_field(status_, node, value);
        return;
    }
  }

  void close(SchemaNode node) override {
    if (node == kItem) on_item_();
  }

  std::function<void()> on_item_;
  doc::JsonParser parser_;
};

// The watch event: {"type": "ADDED", "object": {...}}, in either order.

enum : SchemaNode { kEventType = 1, kEventObject };

constexpr std::array kEventFields{
    Field{doc::kRoot, {"type"}, FieldType::kString, kEventType},
    Field{doc::kRoot, {"object"}, FieldType::kChild, kEventObject},
};
constexpr Schema kEventSchema(kEventFields);

class JsonWatch final : public WatchBody, private doc::Visitor {
 public:
  JsonWatch(MetaReader& reader, Events events, std::size_t max_event_bytes)
      : WatchBody(reader, std::move(events), max_event_bytes), parser_(*this) {}

 private:
  bool take(std::string_view bytes) override {
    while (!bytes.empty()) {
      if (event_bytes_ == 0) {
        const auto start = bytes.find_first_not_of(" \t\r\n");
        if (start == bytes.npos) return true;
        bytes.remove_prefix(start);
      }
      // The parser gets at most the bytes that the event may still have, so that the limit does not
      // depend on how the input was split.
      const std::size_t most = max_event_bytes_ - event_bytes_;
      if (most == 0) return fail_too_long();
      const std::size_t taken = parser_.write(bytes.substr(0, most));
      if (parser_.failed()) return fail(parser_.refusal().field, parser_.refusal().reason);
      bytes.remove_prefix(taken);
      event_bytes_ += taken;
      if (!parser_.done()) continue;
      if (type_->is_error) {
        events_.on_error(reader_.status());
      } else {
        events_.on_object(type_->verb);
      }
      parser_.reset();
      event_bytes_ = 0;
    }
    return true;
  }

  const Schema& schema() const override { return kEventSchema; }
  bool is_frame() const override { return true; }
  doc::Visitor* child(SchemaNode) override { return &reader_; }

  void open(SchemaNode) override {
    clear_refusal();
    type_.reset();
    has_object_ = false;
  }

  void scalar(SchemaNode, const Scalar& value) override {
    std::string why;
    type_ = parse_event_type(value.text, why);
    if (!type_) refuse(std::move(why));
  }

  void close(SchemaNode node) override {
    if (node == kEventObject) {
      has_object_ = true;
      return;
    }
    if (!type_) refuse("missing", "type");
    if (!has_object_) refuse("missing", "object");
  }

  std::optional<EventType> type_;
  bool has_object_ = false;
  std::size_t event_bytes_ = 0;
  doc::JsonParser parser_;
};

}  // namespace

std::unique_ptr<ListBody> make_json_list(MetaReader& reader, std::function<void()> on_item) {
  return std::make_unique<JsonList>(reader, std::move(on_item));
}

std::unique_ptr<WatchBody> make_json_watch(MetaReader& reader, WatchBody::Events events,
                                           std::size_t max_event_bytes) {
  return std::make_unique<JsonWatch>(reader, std::move(events), max_event_bytes);
}

}  // namespace k8s
