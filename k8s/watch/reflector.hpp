// SPDX-License-Identifier: Apache-2.0
//
// Keeps one Sink up to date with one collection of the API server: lists it in pages, then watches
// it from the list's resource version, and recovers from every error. ReflectorCore has the logic
// and is compiled once; Reflector<T> adds the type of the objects.
//
// k8s/watch/watch_policy.hpp decides what follows the end of a request. In short: a watch that ends
// is resumed from the last resource version; 410 lists again; any other error waits with jittered
// back-off. A page that fails is requested again, and an incomplete list removes nothing.
//
// Lists come from the server's watch cache (k8s/watch/queries.hpp has the parameters), by WatchList
// if the server has it. The newest state of the store is requested only where the cache cannot be
// trusted: a resource version went back, or a list lost so much that a second one must confirm it.
//
// Threading: one io_context thread, also for all calls to the sink.
// Invariants: the sink's list_finished() is called only after every page was decoded. The resource
// version advances only when the decoder has accepted an event, or identified an invalid one, so a
// truncated or corrupt stream loses no event. An event that is not newer than what the sink has is
// never passed on: the same version is a duplicate, and an older one makes a new list, because it
// shows events out of order or another store. So the sink needs no versions of its own.
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
#include <set>
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
  // Added to field_selector until the server answers 400, because older ones do not know the field.
  // It may leave out only what the sink ignores.
  std::string narrow_field_selector;
  // A 404 before the first complete list, repeated and confirmed by the server's discovery, means
  // that there are no such objects, instead of a fault.
  bool optional_resource = false;
  // A list may be forbidden (403) for long: it is requested again as `reprobe` says. With
  // `forbidden_is_none`, the sink gets an empty list before the first complete one, once.
  bool may_be_forbidden = false;
  bool forbidden_is_none = false;

  // Request protobuf, except from v1beta1. A JSON response is always accepted.
  bool protobuf = true;
  bool watch_list = true;  // by WatchList, if the server has it
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
  // How long a server that refused WatchList is not asked for it again: it may be upgraded.
  std::chrono::milliseconds watch_list_retry{3'600'000};
  Backoff backoff;
  Backoff page_backoff;
  Backoff relist_backoff;  // between lists whose watch says at once that they are too old
  // Between requests for a resource that is not served or forbidden: 10-20 s, ... 5-10 min.
  Backoff reprobe{.first = std::chrono::milliseconds(10'000),
                  .limit = std::chrono::milliseconds(600'000)};

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

  // Called for what the decoders have read. `version`: the list's, if it is known by now. False:
  // it is not to be passed on.
  bool saw_item(const std::string& version);
  bool saw_event(WatchVerb verb, const Meta& meta);
  void saw_error(const ApiStatus& status) { watch_error_ = status; }
  bool saw_bad_item(const DecodeFault& fault, const std::string& version);
  bool saw_bad_event(WatchVerb verb, const Meta& meta, const DecodeFault& fault);
  // A field of an object was left out: reported once, not at each of the object's changes.
  void report_left_out(const DecodeFault& fault);

 private:
  virtual void list_started() = 0;
  virtual void list_finished() = 0;
  virtual void open_page(MediaType type) = 0;
  virtual void open_probe(MediaType type) = 0;  // a page whose objects are ignored
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
  // How a watch ended.
  struct WatchEnd {
    std::chrono::milliseconds lived;
    std::chrono::milliseconds timeout;  // that was asked for
    bool outlived = false;              // we ended it, after that
  };
  boost::asio::awaitable<Ended> next_request();
  boost::asio::awaitable<Ended> list();
  boost::asio::awaitable<Ended> list_page(std::string token);
  boost::asio::awaitable<Ended> watch(bool initial);
  boost::asio::awaitable<Ended> probe();
  boost::asio::awaitable<Ended> discover();
  boost::asio::awaitable<void> follow(Step step, const Ended& ended);
  boost::asio::awaitable<void> pause(std::chrono::milliseconds length);
  GetRequest list_request(const std::string& query) const;
  bool may_watch_list() const;
  void begin_list();
  bool take_list(std::string_view bytes);
  bool take_watch(std::string_view bytes);
  bool take_initial(WatchVerb verb, const Meta& meta);
  bool is_new(const std::string& version, bool bookmark);
  bool is_doubtful();
  void end_initial(const std::string& version);
  Ended judge_page(const Response& response, Asked asked);
  Ended judge_watch(const Response& response, const WatchEnd& end);
  void judge_open_watch(Attempt& attempt, const Response& response, const WatchEnd& end);
  void count_ends(Attempt& attempt, const WatchEnd& end);
  Ended judge_common(Asked asked, const Response& response) const;
  std::string doubt_text() const;
  void note_absence(Attempt& attempt);
  std::chrono::milliseconds pause_for(const Step& step, const ApiStatus& status, Backoff& backoff);
  Backoff& backoff_for(const Step& step, const Attempt& attempt);
  bool is_forbidden(const Attempt& attempt) const;
  void finish_list(const std::string& resource_version);
  void deliver_unserved();
  void deliver_none();
  bool takes_protobuf() const;
  std::string selectors() const;
  void report_fault(const Step& step, const Ended& ended, std::chrono::milliseconds length);
  void report(const char* fault_kind, const std::string& what, int status = 0,
              const std::string& object = {});
  void saw_contact() { last_contact_ = options_.now(); }

  boost::asio::any_io_executor executor_;
  ApiClient& client_;
  ReflectorOptions options_;
  FaultHandler on_fault_;
  std::unique_ptr<ApiConnection> connection_;
  KindCounters counters_;

  Step plan_;  // what to request next, and how
  bool fallback_reported_ = false;
  std::size_t version_ = 0;         // index into options_.paths
  std::size_t versions_tried_ = 0;  // since a list last had a status other than 404
  unsigned absences_ = 0;           // consecutive 404s for all of them
  std::string resource_version_;    // up to which the sink is up to date
  std::size_t held_ = 0;            // objects of the last complete list, and watched since
  bool listed_before_ = false;
  bool unserved_ = false;
  bool delivered_none_ = false;  // because it is forbidden
  bool narrow_refused_ = false;
  bool server_pages_ = false;  // this server sent pages where the watch cache sends none
  std::optional<std::chrono::steady_clock::time_point> watch_list_refused_;

  // Of the list under way.
  bool list_open_ = false;    // list_started() was called since the list began
  bool page_judged_ = false;  // whether the page's version is older than ours is known: went_back_
  bool initial_ = false;      // it is a WatchList
  std::string list_version_;  // of its first page
  std::size_t listed_ = 0;    // objects in complete pages
  std::size_t page_items_ = 0;
  unsigned broken_ = 0;                 // consecutive responses that broke off
  std::optional<std::size_t> doubted_;  // objects in the list before, which was not believed
  unsigned doubts_ = 0;

  // Of the watch.
  bool watching_ = false;  // a watch's response header has arrived, and it has not ended
  bool has_bookmarks_ = false;
  bool proven_ = false;     // it had an event or a bookmark
  bool went_back_ = false;  // it, or a page, had a version older than ours
  std::optional<ApiStatus> watch_error_;
  unsigned stuck_ = 0;
  unsigned short_lived_ = 0;
  unsigned early_ = 0;
  unsigned refusals_ = 0;

  std::set<std::string> left_out_reported_;
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
        typename ListDecoder<T>::Events{
            .on_item =
                [this](T&& object) {
                  if (saw_item(list_->resource_version())) sink_.upsert(std::move(object));
                },
            .on_fault =
                [this](const Meta& meta, const DecodeFault& fault) {
                  if (saw_bad_item(fault, list_->resource_version()) && !meta.key.name.empty())
                    sink_.keep(meta.key);
                },
            .on_left_out = [this](const DecodeFault& f) { report_left_out(f); }},
        type);
  }
  void open_probe(MediaType type) override {
    list_.emplace(typename ListDecoder<T>::Events{
                      .on_item = [](T&&) {}, .on_fault = [](const Meta&, const DecodeFault&) {}},
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
                               const DecodeFault& fault) { take_bad(verb, meta, fault); },
            .on_left_out = [this](const DecodeFault& fault) { report_left_out(fault); }},
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
    if (!saw_event(verb, object.meta)) return;
    if (verb == WatchVerb::kDeleted) {
      sink_.remove(object.meta.key);
    } else if (verb != WatchVerb::kBookmark) {
      sink_.upsert(std::move(object));
    }
  }

  // A deletion is applied even if the object in the event is invalid.
  void take_bad(WatchVerb verb, const Meta& meta, const DecodeFault& fault) {
    if (!saw_bad_event(verb, meta, fault)) return;
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
