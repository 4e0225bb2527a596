// SPDX-License-Identifier: Apache-2.0
//
// Reads the frames around objects, in either encoding: the body of a list response and the events
// of a watch. One MetaReader reads all the objects, one after another; a callback says when it has
// one. k8s/decode/stream.cpp wraps this in templates by kind. Private to k8s/decode.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/object_reader.hpp"

namespace k8s {

// The common part. After a fault, nothing more is read.
class StreamBody {
 public:
  StreamBody() = default;
  virtual ~StreamBody() = default;
  StreamBody(const StreamBody&) = delete;
  StreamBody& operator=(const StreamBody&) = delete;

  bool feed(std::string_view bytes) { return good() && take(bytes); }
  bool good() const { return fault_.reason.empty(); }
  const DecodeFault& fault() const { return fault_; }

 protected:
  virtual bool take(std::string_view bytes) = 0;
  // Always false.
  bool fail(std::string field, std::string reason) {
    fault_ = {.object = {}, .field = std::move(field), .reason = std::move(reason)};
    return false;
  }

 private:
  DecodeFault fault_;
};

class ListBody : public StreamBody {
 public:
  // The input is complete. False if it ended inside the body.
  virtual bool finish() = 0;

  const std::string& resource_version() const { return resource_version_; }
  const std::string& continue_token() const { return continue_token_; }
  const ApiStatus* status() const { return is_status_ ? &status_ : nullptr; }

 protected:
  explicit ListBody(MetaReader& reader) : reader_(reader) {}
  // Checks and stores the `kind` of the body. Returns "" or why it is wrong.
  std::string take_kind(std::string_view kind);

  MetaReader& reader_;
  bool has_kind_ = false;
  bool is_status_ = false;
  ApiStatus status_;
  std::string resource_version_;
  std::string continue_token_;
};

class WatchBody : public StreamBody {
 public:
  struct Events {
    std::function<void(WatchVerb)> on_object;
    std::function<void(const ApiStatus&)> on_error;
  };
  bool is_too_long() const { return is_too_long_; }

 protected:
  WatchBody(MetaReader& reader, Events events, std::size_t max_event_bytes)
      : reader_(reader), events_(std::move(events)), max_event_bytes_(max_event_bytes) {}
  // Always false.
  bool fail_too_long() {
    is_too_long_ = true;
    return fail("", "an event of more than " + std::to_string(max_event_bytes_) + " bytes");
  }

  MetaReader& reader_;
  Events events_;
  std::size_t max_event_bytes_;

 private:
  bool is_too_long_ = false;
};

// The `type` of a watch event. parse_event_type() returns nothing, and sets `why`, for an unknown
// one.
struct EventType {
  bool is_error = false;
  WatchVerb verb = WatchVerb::kAdded;  // meaningless if is_error
};
std::optional<EventType> parse_event_type(std::string_view text, std::string& why);

// The reader, and everything the callbacks refer to, must outlive the body.
std::unique_ptr<ListBody> make_json_list(MetaReader& reader, std::function<void()> on_item);
std::unique_ptr<ListBody> make_proto_list(MetaReader& reader, std::function<void()> on_item);
std::unique_ptr<WatchBody> make_json_watch(MetaReader& reader, WatchBody::Events events,
                                           std::size_t max_event_bytes);
std::unique_ptr<WatchBody> make_proto_watch(MetaReader& reader, WatchBody::Events events,
                                            std::size_t max_event_bytes);

inline std::unique_ptr<ListBody> make_list_body(MediaType type, MetaReader& reader,
                                                std::function<void()> on_item) {
  return type == MediaType::kJson ? make_json_list(reader, std::move(on_item))
                                  : make_proto_list(reader, std::move(on_item));
}
inline std::unique_ptr<WatchBody> make_watch_body(MediaType type, MetaReader& reader,
                                                  WatchBody::Events events,
                                                  std::size_t max_event_bytes) {
  return type == MediaType::kJson ? make_json_watch(reader, std::move(events), max_event_bytes)
                                  : make_proto_watch(reader, std::move(events), max_event_bytes);
}

}  // namespace k8s
