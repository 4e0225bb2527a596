// SPDX-License-Identifier: Apache-2.0
//
// The frames around objects: nothing (decode_object), a list, and the events of a watch.
#include <optional>
#include <utility>

#include "k8s/object_reader.hpp"
#include "k8s/values.hpp"

namespace k8s {
namespace {

using json::Field;
using json::Place;
using json::Scalar;
using json::Schema;
using json::Shape;

DecodeFault stream_fault(const json::Refusal& refusal) {
  return {.object = {}, .field = refusal.field, .reason = refusal.reason};
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

constexpr std::string_view name_of(const Service*) { return "Service"; }
constexpr std::string_view name_of(const Pod*) { return "Pod"; }
constexpr std::string_view name_of(const Node*) { return "Node"; }
constexpr std::string_view name_of(const EndpointSlice*) { return "EndpointSlice"; }

// The list: {"kind": "PodList", "metadata": {...}, "items": [...]}, or a metav1.Status in its
// place.

enum ListPlace : Place { kItem = kFirstOwn };

constexpr auto kListFields = json::join(
    kStatusFields, std::array{
                       Field{json::kRoot, "kind", Shape::kString, kKind},
                       Field{json::kRoot, "metadata", Shape::kObject, kMetadata},
                       Field{kMetadata, "resourceVersion", Shape::kString, kResourceVersion},
                       Field{kMetadata, "continue", Shape::kString, kContinue},
                       Field{json::kRoot, "items", Shape::kChildren, kItem},
                   });
constexpr Schema kListSchema(kListFields);

template <typename T>
class ListFrame final : public json::Visitor {
 public:
  explicit ListFrame(typename ListDecoder<T>::Events events)
      : events_(std::move(events)), item_(make_reader<T>()) {}

  const Schema& schema() const override { return kListSchema; }
  bool is_frame() const override { return true; }
  json::Visitor* child(Place) override { return item_.get(); }

  void scalar(Place place, const Scalar& value) override {
    switch (place) {
      case kKind:
        return take_kind(value.text);
      case kResourceVersion:
        resource_version_ = value.text;
        return;
      case kContinue:
        continue_token_ = value.text;
        return;
      default:
        take_status_field(status_, place, value);
        return;
    }
  }

  void close(Place place) override {
    if (place != kItem) return;
    const DecodeFault fault = item_->fault();
    if (fault.reason.empty()) {
      events_.on_item(std::move(item_->object));
    } else {
      events_.on_fault(item_->object.meta, fault);
    }
  }

  bool is_status() const { return kind_ == Kind::kStatus; }
  bool has_kind() const { return kind_ != Kind::kNone; }
  const ApiStatus& status() const { return status_; }
  const std::string& resource_version() const { return resource_version_; }
  const std::string& continue_token() const { return continue_token_; }

 private:
  enum class Kind : std::uint8_t { kNone, kList, kStatus };

  void take_kind(std::string_view text) {
    constexpr std::string_view kSuffix = "List";
    const std::string_view name = name_of(static_cast<const T*>(nullptr));
    if (text == "Status") {
      kind_ = Kind::kStatus;
    } else if (text.starts_with(name) && text.substr(name.size()) == kSuffix) {
      kind_ = Kind::kList;
    } else {
      refuse(quoted(text) + " where " + std::string(name) + "List belongs");
    }
  }

  typename ListDecoder<T>::Events events_;
  std::unique_ptr<ObjectReader<T>> item_;
  Kind kind_ = Kind::kNone;
  ApiStatus status_;
  std::string resource_version_;
  std::string continue_token_;
};

// The watch event: {"type": "ADDED", "object": {...}}, the two in any order.

enum EventPlace : Place { kEventType = 1, kEventObject };

constexpr std::array kEventFields{
    Field{json::kRoot, "type", Shape::kString, kEventType},
    Field{json::kRoot, "object", Shape::kChild, kEventObject},
};
constexpr Schema kEventSchema(kEventFields);

template <typename T>
class EventFrame final : public json::Visitor {
 public:
  EventFrame() : reader_(make_reader<T>()) {}

  const Schema& schema() const override { return kEventSchema; }
  bool is_frame() const override { return true; }
  json::Visitor* child(Place) override { return reader_.get(); }

  void open(Place) override {
    clear_refusal();
    verb_.reset();
    is_error_ = has_type_ = has_object_ = false;
  }

  void scalar(Place, const Scalar& value) override {
    has_type_ = true;
    if (value.text == "ADDED") {
      verb_ = WatchVerb::kAdded;
    } else if (value.text == "MODIFIED") {
      verb_ = WatchVerb::kModified;
    } else if (value.text == "DELETED") {
      verb_ = WatchVerb::kDeleted;
    } else if (value.text == "BOOKMARK") {
      verb_ = WatchVerb::kBookmark;
    } else if (value.text == "ERROR") {
      is_error_ = true;
    } else {
      refuse(quoted(value.text) + " is not an event type");
    }
  }

  void close(Place place) override {
    if (place == kEventObject) {
      has_object_ = true;
      return;
    }
    if (!has_type_) refuse("missing", "type");
    if (!has_object_) refuse("missing", "object");
  }

  bool is_error() const { return is_error_; }
  WatchVerb verb() const { return *verb_; }
  ObjectReader<T>& reader() { return *reader_; }

 private:
  std::unique_ptr<ObjectReader<T>> reader_;
  std::optional<WatchVerb> verb_;  // absent for ERROR
  bool is_error_ = false;
  bool has_type_ = false;
  bool has_object_ = false;
};

}  // namespace

template <typename T>
Decoded<T> decode_object(std::string_view json) {
  const auto reader = make_reader<T>();
  json::Parser parser(*reader);
  const std::size_t taken = parser.write(json);
  Decoded<T> result;
  if (parser.failed()) {
    result.fault = stream_fault(parser.refusal());
  } else if (!parser.done()) {
    result.fault.reason = "not JSON: it ends inside the document";
  } else if (!is_blank(json.substr(taken))) {
    result.fault.reason = "not JSON: more text after the document at byte " + std::to_string(taken);
  } else {
    result.fault = reader->fault();
    result.object = std::move(reader->object);
  }
  return result;
}

template <typename T>
struct ListDecoder<T>::Impl {
  explicit Impl(Events events) : frame(std::move(events)), parser(frame) {}

  bool fail(std::string field, std::string reason) {
    fault = {.object = {}, .field = std::move(field), .reason = std::move(reason)};
    return false;
  }

  ListFrame<T> frame;
  json::Parser parser;
  DecodeFault fault;
};

template <typename T>
ListDecoder<T>::ListDecoder(Events events) : impl_(std::make_unique<Impl>(std::move(events))) {}
template <typename T>
ListDecoder<T>::~ListDecoder() = default;
template <typename T>
ListDecoder<T>::ListDecoder(ListDecoder&&) noexcept = default;

template <typename T>
bool ListDecoder<T>::feed(std::string_view bytes) {
  if (!impl_->fault.reason.empty()) return false;
  bytes.remove_prefix(impl_->parser.write(bytes));
  if (impl_->parser.failed()) {
    impl_->fault = stream_fault(impl_->parser.refusal());
    return false;
  }
  return is_blank(bytes) || impl_->fail("", "not JSON: more text after the document");
}

template <typename T>
bool ListDecoder<T>::finish() {
  if (!impl_->fault.reason.empty()) return false;
  if (!impl_->parser.done()) return impl_->fail("", "not JSON: it ends inside the document");
  return impl_->frame.has_kind() || impl_->fail("kind", "missing");
}

template <typename T>
const DecodeFault& ListDecoder<T>::fault() const {
  return impl_->fault;
}
template <typename T>
const std::string& ListDecoder<T>::resource_version() const {
  return impl_->frame.resource_version();
}
template <typename T>
const std::string& ListDecoder<T>::continue_token() const {
  return impl_->frame.continue_token();
}
template <typename T>
const ApiStatus* ListDecoder<T>::status() const {
  return impl_->frame.is_status() ? &impl_->frame.status() : nullptr;
}

template <typename T>
struct WatchDecoder<T>::Impl {
  Impl(Events e, std::size_t max) : events(std::move(e)), max_bytes(max), parser(frame) {}

  // Hands out the event that is complete.
  void emit() {
    ObjectReader<T>& reader = frame.reader();
    if (frame.is_error()) return events.on_error(reader.status());
    if (frame.verb() == WatchVerb::kBookmark) return emit_bookmark(reader);
    const DecodeFault object_fault = reader.fault();
    if (object_fault.reason.empty()) {
      events.on_event(frame.verb(), std::move(reader.object));
    } else {
      events.on_fault(frame.verb(), reader.object.meta, object_fault);
    }
  }

  // It has no name, so what its reader thinks of it as an object does not count.
  void emit_bookmark(ObjectReader<T>& reader) {
    T marked;
    marked.meta.resource_version = std::move(reader.object.meta.resource_version);
    events.on_event(WatchVerb::kBookmark, std::move(marked));
  }

  bool fail(DecodeFault why) {
    fault = std::move(why);
    return false;
  }

  Events events;
  std::size_t max_bytes;
  std::size_t event_bytes = 0;
  EventFrame<T> frame;
  json::Parser parser;
  DecodeFault fault;
};

template <typename T>
WatchDecoder<T>::WatchDecoder(Events events, std::size_t max_event_bytes)
    : impl_(std::make_unique<Impl>(std::move(events), max_event_bytes)) {}
template <typename T>
WatchDecoder<T>::~WatchDecoder() = default;
template <typename T>
WatchDecoder<T>::WatchDecoder(WatchDecoder&&) noexcept = default;

template <typename T>
bool WatchDecoder<T>::feed(std::string_view bytes) {
  Impl& impl = *impl_;
  if (!impl.fault.reason.empty()) return false;
  while (!bytes.empty()) {
    if (impl.event_bytes == 0) {
      const auto start = bytes.find_first_not_of(" \t\r\n");
      if (start == bytes.npos) return true;
      bytes.remove_prefix(start);
    }
    // The parser is never given more than the event may have, so the limit does not depend on how
    // the input was cut.
    const std::size_t room = impl.max_bytes - impl.event_bytes;
    if (room == 0) {
      return impl.fail(
          {.object = {},
           .field = {},
           .reason = "an event of more than " + std::to_string(impl.max_bytes) + " bytes"});
    }
    const std::size_t taken = impl.parser.write(bytes.substr(0, room));
    if (impl.parser.failed()) return impl.fail(stream_fault(impl.parser.refusal()));
    bytes.remove_prefix(taken);
    impl.event_bytes += taken;
    if (!impl.parser.done()) continue;
    impl.emit();
    impl.parser.reset();
    impl.event_bytes = 0;
  }
  return true;
}

template <typename T>
const DecodeFault& WatchDecoder<T>::fault() const {
  return impl_->fault;
}

template Decoded<Service> decode_object<Service>(std::string_view);
template Decoded<Pod> decode_object<Pod>(std::string_view);
template Decoded<Node> decode_object<Node>(std::string_view);
template Decoded<EndpointSlice> decode_object<EndpointSlice>(std::string_view);
template class ListDecoder<Service>;
template class ListDecoder<Pod>;
template class ListDecoder<Node>;
template class ListDecoder<EndpointSlice>;
template class WatchDecoder<Service>;
template class WatchDecoder<Pod>;
template class WatchDecoder<Node>;
template class WatchDecoder<EndpointSlice>;

}  // namespace k8s
