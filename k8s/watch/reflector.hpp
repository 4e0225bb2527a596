// SPDX-License-Identifier: Apache-2.0
//
// Keeps one Sink up to date with one collection of the API server: lists it in pages, then watches
// it from the list's resource version, and recovers from every error. ReflectorCore has the logic
// and is compiled once; Reflector<T> adds the type of the objects.
//
// k8s/watch/watch_policy.hpp decides what follows the end of a request. In short: a watch that ends
// is resumed from the last resource version; 410 lists again; any other error waits with jittered
// back-off. A list that fails is started again from its first page, and removes nothing.
//
// Threading: one io_context thread, also for all calls to the sink.
// Invariants: the sink's list_finished() is called only after every page was decoded. The resource
// version advances only when the decoder has accepted an event, or identified an invalid one, so a
// truncated or corrupt stream loses no event.
// Errors: to the FaultHandler, kinds "list", "watch", "decode" and "unserved". run() returns only
// after terminal cancellation, with its connection closed. Metrics: counters().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k8s/async/coarse_clock.hpp"
#include "k8s/client/api_client.hpp"
#include "k8s/decode/decode.hpp"
#include "k8s/sink.hpp"
#include "k8s/source.hpp"
#include "k8s/watch/watch_policy.hpp"

namespace k8s {

struct ReflectorOptions {
  std::string kind;  // "EndpointSlice": for messages
  // The collection's path in each API version that can be used, preferred first.
  std::vector<std::string> paths;
  std::string label_selector;  // without percent-encoding, as is field_selector
  std::string field_selector;
  // A 404 before the first complete list means that there are no such objects, instead of a fault.
  // Not for resources that traffic depends on: a misconfigured proxy answers 404, too.
  bool optional_resource = false;

  // Request protobuf, except from v1beta1. A JSON response is always accepted.
  bool protobuf = true;
  unsigned page_limit = 500;
  std::size_t max_event_bytes = 16u << 20;
  std::chrono::seconds watch_shortest{300};  // timeoutSeconds is random in [shortest, longest]
  std::chrono::seconds watch_longest{600};
  std::chrono::milliseconds watch_grace{30'000};  // after timeoutSeconds, the client ends the watch
  // A server that sends bookmarks sends one a minute: a watch that has had one and is then silent
  // for this long is stuck. Without bookmarks (servers before 1.21, or a store without writes)
  // silence is normal, and only timeoutSeconds ends the watch.
  std::chrono::milliseconds watch_idle{150'000};
  std::chrono::milliseconds list_idle{30'000};
  std::chrono::milliseconds reprobe{600'000};  // between requests for a resource not served
  Backoff backoff;

  // Injected by tests. `pause` gets the length of every wait and returns the length to use.
  std::function<double()> random;  // in [0, 1); default: a generator seeded by the system
  std::function<std::chrono::steady_clock::time_point()> now = coarse_now;
  std::function<std::chrono::milliseconds(std::chrono::milliseconds)> pause;
};

class ReflectorCore {
 public:
  ReflectorCore(boost::asio::any_io_executor executor, ApiClient& client, ReflectorOptions options,
                FaultHandler on_fault);
  virtual ~ReflectorCore();
  ReflectorCore(const ReflectorCore&) = delete;
  ReflectorCore& operator=(const ReflectorCore&) = delete;

  boost::asio::awaitable<void> run();

  KindCounters counters() const;

 protected:
  struct PageEnd {
    std::string resource_version;
    std::string continue_token;
    std::optional<ApiStatus> status;  // the body was a metav1.Status, not a list
  };

  // Called for what the decoders have read.
  void saw_item() { ++counters_.events; }
  void saw_event(WatchVerb verb, const std::string& resource_version);
  void saw_error(const ApiStatus& status) { watch_error_ = status; }
  void saw_bad_object(const DecodeFault& fault, const std::string& resource_version);

 private:
  virtual void list_started() = 0;
  virtual void list_finished() = 0;
  virtual void open_page(MediaType type) = 0;
  virtual bool feed_page(std::string_view bytes) = 0;
  virtual bool finish_page() = 0;
  virtual PageEnd page_end() const = 0;
  virtual void open_watch(std::size_t max_event_bytes, MediaType type) = 0;
  virtual bool feed_watch(std::string_view bytes) = 0;
  virtual bool watch_too_long() const = 0;
  virtual DecodeFault stream_fault() const = 0;
  virtual void close_decoders() = 0;

  // How a request ended, for the policy and in words.
  struct Ended {
    Attempt attempt;
    std::string what;
  };
  boost::asio::awaitable<Ended> list(bool whole);
  boost::asio::awaitable<Ended> list_page(std::string token, bool whole);
  boost::asio::awaitable<Ended> watch();
  boost::asio::awaitable<void> follow(Step step, const Ended& ended);
  boost::asio::awaitable<void> pause(std::chrono::milliseconds length);
  bool take_list(std::string_view bytes);
  bool take_watch(std::string_view bytes);
  Ended judge_page(const Response& response);
  Ended judge_watch(const Response& response, std::chrono::milliseconds lived, bool outlived);
  Ended judge_common(Asked asked, const Response& response) const;
  std::chrono::milliseconds pause_for(const Step& step, const ApiStatus& status);
  void finish_list(const std::string& resource_version);
  void deliver_unserved();
  bool takes_protobuf() const;
  std::string selectors() const;
  void report(const char* fault_kind, const std::string& what);
  void saw_contact() { last_contact_ = options_.now(); }

  boost::asio::any_io_executor executor_;
  ApiClient& client_;
  ReflectorOptions options_;
  FaultHandler on_fault_;
  std::unique_ptr<ApiConnection> connection_;
  KindCounters counters_;

  Step::Next next_ = Step::Next::kList;
  bool fallback_reported_ = false;
  std::size_t version_ = 0;         // index into options_.paths
  std::size_t versions_tried_ = 0;  // since a list last had a status other than 404
  std::string resource_version_;    // up to which the sink is up to date
  bool list_open_ = false;          // list_started() was called since the list began
  bool listed_before_ = false;
  bool unserved_ = false;
  unsigned stuck_ = 0;
  bool watching_ = false;       // a watch's response header has arrived, and it has not ended
  bool has_bookmarks_ = false;  // the open watch has had one
  std::optional<ApiStatus> watch_error_;
  std::chrono::steady_clock::time_point list_begun_;
  std::chrono::steady_clock::time_point last_contact_;
};

template <typename T>
class Reflector final : public ReflectorCore {
 public:
  Reflector(boost::asio::any_io_executor executor, ApiClient& client, ReflectorOptions options,
            Sink<T>& sink, FaultHandler on_fault)
      : ReflectorCore(std::move(executor), client, std::move(options), std::move(on_fault)),
        sink_(sink) {}

 private:
  void list_started() override { sink_.list_started(); }
  void list_finished() override { sink_.list_finished(); }

  void open_page(MediaType type) override {
    list_.emplace(
        typename ListDecoder<T>::Events{.on_item =
                                            [this](T&& object) {
                                              saw_item();
                                              sink_.upsert(std::move(object));
                                            },
                                        .on_fault =
                                            [this](const Meta& meta, const DecodeFault& fault) {
                                              saw_bad_object(fault, {});
                                              if (!meta.key.name.empty()) sink_.keep(meta.key);
                                            }},
        type);
  }
  bool feed_page(std::string_view bytes) override { return list_->feed(bytes); }
  bool finish_page() override { return list_->finish(); }
  PageEnd page_end() const override {
    PageEnd end{.resource_version = list_->resource_version(),
                .continue_token = list_->continue_token(),
                .status = {}};
    if (const ApiStatus* status = list_->status()) end.status = *status;
    return end;
  }

  void open_watch(std::size_t max_event_bytes, MediaType type) override {
    watch_.emplace(
        typename WatchDecoder<T>::Events{
            .on_event = [this](WatchVerb verb, T&& object) { take(verb, std::move(object)); },
            .on_error = [this](const ApiStatus& status) { saw_error(status); },
            .on_fault = [this](WatchVerb verb, const Meta& meta,
                               const DecodeFault& fault) { take_bad(verb, meta, fault); }},
        max_event_bytes, type);
  }
  bool feed_watch(std::string_view bytes) override { return watch_->feed(bytes); }
  bool watch_too_long() const override { return watch_ && watch_->is_too_long(); }
  DecodeFault stream_fault() const override { return watch_ ? watch_->fault() : list_->fault(); }
  void close_decoders() override {
    list_.reset();
    watch_.reset();
  }

  void take(WatchVerb verb, T&& object) {
    saw_event(verb, object.meta.resource_version);
    if (verb == WatchVerb::kDeleted) {
      sink_.remove(object.meta.key);
    } else if (verb != WatchVerb::kBookmark) {
      sink_.upsert(std::move(object));
    }
  }

  // A deletion is applied even if the object in the event is invalid.
  void take_bad(WatchVerb verb, const Meta& meta, const DecodeFault& fault) {
    saw_bad_object(fault, meta.resource_version);
    if (meta.key.name.empty() || verb == WatchVerb::kBookmark) return;
    if (verb == WatchVerb::kDeleted) {
      sink_.remove(meta.key);
    } else {
      sink_.keep(meta.key);
    }
  }

  Sink<T>& sink_;
  std::optional<ListDecoder<T>> list_;
  std::optional<WatchDecoder<T>> watch_;
};

}  // namespace k8s
