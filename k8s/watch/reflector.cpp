// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/reflector.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>

#include "config/printable.hpp"
#include "k8s/async/cancellation.hpp"
#include "k8s/client/url.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

std::function<double()> uniform_random() {
  return
      [engine = std::minstd_rand(std::random_device{}()),
       spread = std::uniform_real_distribution<double>(0, 1)]() mutable { return spread(engine); };
}

std::string seconds_text(milliseconds time) {
  const auto tenths = (time.count() + 50) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

// The status in the body of a refusal: a metav1.Status, or else the first line of the body.
ApiStatus read_status(const Response& response) {
  ApiStatus status;
  ListDecoder<Node> decoder(
      {.on_item = [](Node) {}, .on_fault = [](const Meta&, const DecodeFault&) {}}, response.type);
  if (decoder.feed(response.body) && decoder.finish() && decoder.status())
    status = *decoder.status();
  // The HTTP status line takes precedence: the body may be a proxy's and contain anything.
  status.code = static_cast<int>(response.status);
  if (status.message.empty()) {
    const std::string_view body(response.body);
    for (const char c : body.substr(0, std::min<std::size_t>(body.find('\n'), 200))) {
      status.message += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  if (response.retry_after)
    status.retry_after_seconds = static_cast<int>(response.retry_after->count());
  return status;
}

std::string status_text(const ApiStatus& status, const std::string& reason) {
  std::string text =
      std::to_string(status.code) + " " + (status.reason.empty() ? reason : status.reason);
  if (!status.message.empty()) text += ": " + status.message;
  return text;
}

}  // namespace

ReflectorCore::ReflectorCore(asio::any_io_executor executor, ApiClient& client,
                             ReflectorOptions options, FaultHandler on_fault)
    : executor_(std::move(executor)),
      client_(client),
      options_(std::move(options)),
      on_fault_(std::move(on_fault)) {
  if (!options_.random) options_.random = uniform_random();
  counters_.kind = options_.kind;
  list_begun_ = last_contact_ = options_.now();
}

ReflectorCore::~ReflectorCore() = default;

KindCounters ReflectorCore::counters() const {
  KindCounters counters = counters_;
  if (!unserved_ && !watching_) {
    const std::chrono::duration<double> since = options_.now() - last_contact_;
    counters.seconds_since_contact = since.count();
  }
  return counters;
}

asio::awaitable<void> ReflectorCore::run() {
  // Cancellation is checked after each wait instead of thrown: a normal end throws nothing.
  const bool threw_before = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  for (;;) {
    Ended ended;
    if (next_ == Step::Next::kWatch) {
      ended = co_await watch();
    } else {
      ended = co_await list(next_ == Step::Next::kFullList);
    }
    close_decoders();
    bool cancelled = co_await is_cancelled();
    if (cancelled) break;
    co_await follow(next_step(ended.attempt), ended);
    cancelled = co_await is_cancelled();
    if (cancelled) break;
  }
  connection_.reset();
  co_await asio::this_coro::throw_if_cancelled(threw_before);
}

// Carries out the policy's decision: reports the fault, waits, and selects the next request.
asio::awaitable<void> ReflectorCore::follow(Step step, const Ended& ended) {
  next_ = step.next;
  if (step.settled) options_.backoff.reset();
  if (step.next == Step::Next::kOtherVersion) {
    ++versions_tried_;
    version_ = (version_ + 1) % options_.paths.size();
    co_return;
  }
  if (step.next == Step::Next::kUnserved) {
    deliver_unserved();
    co_await pause(options_.reprobe);
    co_return;
  }
  // All versions were refused: start again with the preferred one.
  if (ended.attempt.asked == Asked::kList && ended.attempt.status.code == 404) {
    versions_tried_ = 0;
    version_ = 0;
  }
  const milliseconds length = pause_for(step, ended.attempt.status);
  if (step.fault) {
    const bool watching = ended.attempt.asked == Asked::kWatch;
    std::string what = options_.kind + (watching ? " watch: " : " list: ") + ended.what;
    what += step.next == Step::Next::kWatch ? "; watching again" : "; listing again";
    what += length.count() == 0 ? " at once" : " in " + seconds_text(length);
    report(watching ? "watch" : "list", what);
  }
  if (step.pause != Step::Pause::kNone) {
    connection_.reset();
    co_await pause(length);
  }
}

milliseconds ReflectorCore::pause_for(const Step& step, const ApiStatus& status) {
  switch (step.pause) {
    case Step::Pause::kNone:
      return milliseconds(0);
    case Step::Pause::kBackoff:
      return options_.backoff.next(options_.random());
    case Step::Pause::kRetryAfter: {
      // Every node gets the same Retry-After: spread the requests over another 10 %.
      ++options_.backoff.failures;
      const milliseconds asked =
          std::chrono::seconds(std::clamp(status.retry_after_seconds, 0, 300));
      return asked + duration_cast<milliseconds>(asked * (0.1 * options_.random()));
    }
  }
  return milliseconds(0);
}

asio::awaitable<void> ReflectorCore::pause(milliseconds length) {
  if (options_.pause) length = options_.pause(length);
  asio::steady_timer timer(executor_, length);
  co_await timer.async_wait(kAwait);
}

// No API version is served: gives the sink an empty list, once.
void ReflectorCore::deliver_unserved() {
  next_ = Step::Next::kList;
  versions_tried_ = 0;
  version_ = 0;
  if (unserved_) return;
  unserved_ = true;
  report("unserved", options_.kind + ": this API server does not serve " + options_.paths.front() +
                         "; treated as empty, and checked again every " +
                         seconds_text(options_.reprobe));
  list_started();
  list_finished();
}

// The pages and the first watch after them share a connection. Every later watch opens a new one,
// so that a load balancer can choose another server.
asio::awaitable<ReflectorCore::Ended> ReflectorCore::list(bool whole) {
  ++counters_.lists;
  if (listed_before_) ++counters_.relists;
  list_begun_ = options_.now();
  list_open_ = false;
  std::string token;
  Ended ended;
  do {
    ended = co_await list_page(token, whole);
    if (ended.attempt.outcome != Outcome::kDone) co_return ended;
    PageEnd end = page_end();
    token = std::move(end.continue_token);
    if (token.empty()) finish_list(end.resource_version);
  } while (!token.empty());
  co_return ended;
}

asio::awaitable<ReflectorCore::Ended> ReflectorCore::list_page(std::string token, bool whole) {
  if (!connection_) connection_ = client_.connection();
  std::string path = options_.paths[version_] + "?";
  path += "limit=" + (whole ? "0" : std::to_string(options_.page_limit));
  path += selectors();
  if (!token.empty()) path += "&continue=" + percent_encode(token);
  GetRequest request{.path = std::move(path),
                     .gzip = true,
                     .protobuf = takes_protobuf(),
                     .idle = options_.list_idle,
                     .on_head = [this](MediaType type) { open_page(type); }};
  OnChunk on_chunk = [this](std::string_view bytes) { return take_list(bytes); };
  const Response response = co_await connection_->get(std::move(request), std::move(on_chunk));
  Ended ended = judge_page(response);
  ended.attempt.asked = token.empty() ? Asked::kList : Asked::kNextPage;
  ended.attempt.other_version_left = versions_tried_ + 1 < options_.paths.size();
  ended.attempt.optional_resource = options_.optional_resource;
  ended.attempt.listed_before = listed_before_;
  if (response.status != 0 && response.status != 404) versions_tried_ = 0;
  co_return ended;
}

bool ReflectorCore::take_list(std::string_view bytes) {
  saw_contact();
  counters_.bytes += bytes.size();
  if (!list_open_) {
    list_open_ = true;
    list_started();
  }
  return feed_page(bytes);
}

void ReflectorCore::finish_list(const std::string& resource_version) {
  resource_version_ = resource_version;
  listed_before_ = true;
  unserved_ = false;
  stuck_ = 0;
  if (version_ != 0 && !fallback_reported_) {
    fallback_reported_ = true;
    report("unserved", options_.kind + ": this API server does not serve " +
                           options_.paths.front() + "; read from " + options_.paths[version_]);
  }
  list_finished();
}

asio::awaitable<ReflectorCore::Ended> ReflectorCore::watch() {
  ++counters_.watches;
  watch_error_.reset();
  has_bookmarks_ = false;
  const auto spread = options_.watch_longest - options_.watch_shortest;
  const auto timeout =
      options_.watch_shortest + duration_cast<std::chrono::seconds>(spread * options_.random());
  const milliseconds total = timeout + options_.watch_grace;
  std::string path =
      options_.paths[version_] +
      "?watch=true&allowWatchBookmarks=true&resourceVersion=" + percent_encode(resource_version_) +
      "&timeoutSeconds=" + std::to_string(timeout.count()) + selectors();
  if (!connection_) connection_ = client_.connection();
  const auto begun = options_.now();
  GetRequest request{.path = std::move(path), .protobuf = takes_protobuf(), .total = total};
  request.on_head = [this](MediaType type) {
    watching_ = true;
    open_watch(options_.max_event_bytes, type);
  };
  request.idle_now = [this] { return has_bookmarks_ ? options_.watch_idle : milliseconds(0); };
  OnChunk on_chunk = [this](std::string_view bytes) { return take_watch(bytes); };
  const Response response = co_await connection_->get(std::move(request), std::move(on_chunk));
  connection_.reset();
  watching_ = false;
  const auto lived = duration_cast<milliseconds>(options_.now() - begun);
  constexpr milliseconds kTick{10};  // how far the coarse clock may lag behind the connection's
  co_return judge_watch(response, lived, lived + kTick >= total);
}

bool ReflectorCore::take_watch(std::string_view bytes) {
  saw_contact();
  counters_.bytes += bytes.size();
  return feed_watch(bytes) && !watch_error_;
}

void ReflectorCore::saw_event(WatchVerb verb, const std::string& resource_version) {
  const bool bookmark = verb == WatchVerb::kBookmark;
  ++(bookmark ? counters_.bookmarks : counters_.events);
  if (bookmark) has_bookmarks_ = true;
  if (!resource_version.empty()) resource_version_ = resource_version;
  stuck_ = 0;
}

void ReflectorCore::saw_bad_object(const DecodeFault& fault, const std::string& resource_version) {
  if (!resource_version.empty()) resource_version_ = resource_version;
  report("decode", fault.text() + "; skipped, its last good state stays");
}

// The outcomes that lists and watches have in common: no response, or a refusal.
ReflectorCore::Ended ReflectorCore::judge_common(Asked asked, const Response& response) const {
  Ended ended;
  ended.attempt.asked = asked;
  if (response.status != 0 && (response.status < 200 || response.status > 299)) {
    ended.attempt.outcome = Outcome::kRefused;
    ended.attempt.status = read_status(response);
    ended.what = status_text(ended.attempt.status, response.reason);
  } else {
    ended.attempt.outcome = Outcome::kUnreachable;
    ended.what = response.text();
  }
  return ended;
}

ReflectorCore::Ended ReflectorCore::judge_page(const Response& response) {
  if (response.status != 0) saw_contact();
  Ended ended = judge_common(Asked::kList, response);
  if (ended.attempt.outcome == Outcome::kRefused) return ended;
  const bool complete = response.succeeded() && finish_page();
  if (response.end == Response::End::kStopped || (response.succeeded() && !complete)) {
    ended.attempt.outcome = Outcome::kGarbage;
    ended.what = "the response is not a list: " + stream_fault().text();
  } else if (complete) {
    const PageEnd end = page_end();
    if (end.status) {
      ended.attempt.outcome = Outcome::kRefused;
      ended.attempt.status = *end.status;
      ended.what = status_text(*end.status, {});
    } else if (end.resource_version.empty()) {
      ended.attempt.outcome = Outcome::kGarbage;
      ended.what = "the response has no metadata.resourceVersion";
    } else {
      ended.attempt.outcome = Outcome::kDone;
    }
  }
  return ended;
}

ReflectorCore::Ended ReflectorCore::judge_watch(const Response& response, milliseconds lived,
                                                bool outlived) {
  using End = Response::End;
  if (response.status != 0) saw_contact();
  Ended ended = judge_common(Asked::kWatch, response);
  Attempt& attempt = ended.attempt;
  if (attempt.outcome == Outcome::kRefused) {
    // judge_common() has set everything.
  } else if (watch_error_) {
    attempt.outcome = Outcome::kRefused;
    attempt.status = *watch_error_;
    ended.what = "ERROR event: " + status_text(*watch_error_, {});
  } else if (response.end == End::kStopped) {
    attempt.outcome = watch_too_long() ? Outcome::kTooLong : Outcome::kGarbage;
    ended.what = "the stream is invalid: " + stream_fault().text();
    ++stuck_;
  } else if (response.end == End::kComplete || response.end == End::kClosed || outlived) {
    attempt.outcome = Outcome::kDone;
  } else if (response.end == End::kTimedOut && response.status != 0) {
    attempt.outcome = Outcome::kIdle;
  }
  if (is_too_large(attempt.status)) ++stuck_;
  attempt.lived = lived;
  attempt.since_list = duration_cast<milliseconds>(options_.now() - list_begun_);
  attempt.stuck = stuck_;
  return ended;
}

// v1beta1 has other field numbers: in an EndpointSlice's endpoint, 7 is the hints there, and the
// zone in v1.
bool ReflectorCore::takes_protobuf() const {
  return options_.protobuf && options_.paths[version_].find("/v1beta1/") == std::string::npos;
}

std::string ReflectorCore::selectors() const {
  std::string text;
  if (!options_.label_selector.empty()) {
    text += "&labelSelector=" + percent_encode(options_.label_selector);
  }
  if (!options_.field_selector.empty()) {
    text += "&fieldSelector=" + percent_encode(options_.field_selector);
  }
  return text;
}

void ReflectorCore::report(const char* fault_kind, const std::string& what) {
  constexpr std::size_t kMaxFault = 2000;  // the message of a server's Status may be of any size
  if (on_fault_) on_fault_({.kind = fault_kind, .what = config::printable(what, kMaxFault)});
}

}  // namespace k8s
