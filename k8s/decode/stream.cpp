// SPDX-License-Identifier: Apache-2.0
//
// decode_object(), and ListDecoder and WatchDecoder on top of k8s/decode/stream_body.hpp.
#include <utility>

#include "k8s/decode/json_reader.hpp"
#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/stream_body.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {

std::string ListBody::take_kind(std::string_view kind) {
  constexpr std::string_view kSuffix = "List";
  const std::string_view name = reader_.expected_kind();
  is_status_ = kind == "Status";
  has_kind_ = is_status_ || (kind.starts_with(name) && kind.substr(name.size()) == kSuffix);
  if (has_kind_) return {};
  return quoted(kind) + " where " + std::string(name) + "List belongs";
}

std::optional<EventType> parse_event_type(std::string_view text, std::string& why) {
  if (text == "ADDED") return EventType{.verb = WatchVerb::kAdded};
  if (text == "MODIFIED") return EventType{.verb = WatchVerb::kModified};
  if (text == "DELETED") return EventType{.verb = WatchVerb::kDeleted};
  if (text == "BOOKMARK") return EventType{.verb = WatchVerb::kBookmark};
  if (text == "ERROR") return EventType{.is_error = true};
  why = quoted(text) + " is not an event type";
  return std::nullopt;
}

namespace {

void report_left_out(const MetaReader& reader, const std::function<void(const DecodeFault&)>& to) {
  if (to && reader.left_out().count != 0) to(reader.left_out_fault());
}

}  // namespace

template <typename T>
Decoded<T> decode_object(std::string_view json) {
  const auto reader = make_reader<T>();
  doc::JsonParser parser(*reader);
  const std::size_t taken = parser.write(json);
  Decoded<T> result;
  if (parser.failed()) {
    result.fault = {
        .object = {}, .field = parser.refusal().field, .reason = parser.refusal().reason};
  } else if (!parser.done()) {
    result.fault.reason = "not JSON: it ends inside the document";
  } else if (!doc::is_blank(json.substr(taken))) {
    result.fault.reason = "not JSON: more text after the document at byte " + std::to_string(taken);
  } else {
    result.fault = reader->fault();
    result.left_out = reader->left_out_fault();
    result.object = std::move(reader->object);
  }
  return result;
}

template <typename T>
struct ListDecoder<T>::Impl {
  Impl(Events e, MediaType type)
      : events(std::move(e)),
        reader(make_reader<T>()),
        body(make_list_body(type, *reader, [this] { emit(); })) {}

  void emit() {
    const DecodeFault fault = reader->fault();
    if (fault.reason.empty()) {
      report_left_out(*reader, events.on_left_out);
      events.on_item(std::move(reader->object));
    } else {
      events.on_fault(reader->object.meta, fault);
    }
  }

  Events events;
  std::unique_ptr<ObjectReader<T>> reader;
  std::unique_ptr<ListBody> body;
};

template <typename T>
ListDecoder<T>::ListDecoder(Events events, MediaType type)
    : impl_(std::make_unique<Impl>(std::move(events), type)) {}
template <typename T>
ListDecoder<T>::~ListDecoder() = default;
template <typename T>
ListDecoder<T>::ListDecoder(ListDecoder&&) noexcept = default;

template <typename T>
bool ListDecoder<T>::feed(std::string_view bytes) {
  return impl_->body->feed(bytes);
}
template <typename T>
bool ListDecoder<T>::finish() {
  return impl_->body->finish();
}
template <typename T>
const DecodeFault& ListDecoder<T>::fault() const {
  return impl_->body->fault();
}
template <typename T>
const std::string& ListDecoder<T>::resource_version() const {
  return impl_->body->resource_version();
}
template <typename T>
const std::string& ListDecoder<T>::continue_token() const {
  return impl_->body->continue_token();
}
template <typename T>
const ApiStatus* ListDecoder<T>::status() const {
  return impl_->body->status();
}

template <typename T>
struct WatchDecoder<T>::Impl {
  Impl(Events e, std::size_t max_event_bytes, MediaType type)
      : events(std::move(e)),
        reader(make_reader<T>()),
        body(make_watch_body(type, *reader,
                             {.on_object = [this](WatchVerb verb) { emit(verb); },
                              .on_error = [this](const ApiStatus& s) { events.on_error(s); }},
                             max_event_bytes)) {}

  // Delivers the object that has just been read.
  void emit(WatchVerb verb) {
    if (verb == WatchVerb::kBookmark) return emit_bookmark();
    const DecodeFault fault = reader->fault();
    if (fault.reason.empty()) {
      if (verb != WatchVerb::kDeleted) report_left_out(*reader, events.on_left_out);
      events.on_event(verb, std::move(reader->object));
    } else {
      events.on_fault(verb, reader->object.meta, fault);
    }
  }

  // Its object has no name, so the reader has refused it; that is ignored.
  void emit_bookmark() {
    T marked;
    marked.meta.resource_version = std::move(reader->object.meta.resource_version);
    marked.meta.annotations = std::move(reader->object.meta.annotations);
    events.on_event(WatchVerb::kBookmark, std::move(marked));
  }

  Events events;
  std::unique_ptr<ObjectReader<T>> reader;
  std::unique_ptr<WatchBody> body;
};

template <typename T>
WatchDecoder<T>::WatchDecoder(Events events, std::size_t max_event_bytes, MediaType type)
    : impl_(std::make_unique<Impl>(std::move(events), max_event_bytes, type)) {}
template <typename T>
WatchDecoder<T>::~WatchDecoder() = default;
template <typename T>
WatchDecoder<T>::WatchDecoder(WatchDecoder&&) noexcept = default;

template <typename T>
bool WatchDecoder<T>::feed(std::string_view bytes) {
  return impl_->body->feed(bytes);
}
template <typename T>
const DecodeFault& WatchDecoder<T>::fault() const {
  return impl_->body->fault();
}
template <typename T>
bool WatchDecoder<T>::is_too_long() const {
  return impl_->body->is_too_long();
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
