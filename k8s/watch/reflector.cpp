// SPDX-License-Identifier: Apache-2.0
//
// The requests of a reflector, and what follows each. k8s/watch/reflector_judge.cpp says how a
// request ended.
#include "k8s/watch/reflector.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <random>
#include <system_error>

#include "config/printable.hpp"
#include "k8s/async/cancellation.hpp"
#include "k8s/client/url.hpp"
#include "k8s/watch/discovery.hpp"
#include "k8s/watch/queries.hpp"

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
  const char* const end = resource_version_.data() + resource_version_.size();
  const auto read = std::from_chars(resource_version_.data(), end, counters.version);
  if (read.ec != std::errc() || read.ptr != end) counters.version = 0;
  return counters;
}

asio::awaitable<void> ReflectorCore::run() {
  // Cancellation is checked after each wait instead of thrown: a normal end throws nothing.
  const bool threw_before = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  for (;;) {
    const Ended ended = co_await next_request();
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

asio::awaitable<ReflectorCore::Ended> ReflectorCore::next_request() {
  if (!connection_) connection_ = client_.connection();
  if (plan_.next == Step::Next::kWatch) return plan_.probe ? probe() : watch(false);
  if (plan_.next == Step::Next::kDiscovery) return discover();
  return may_watch_list() ? watch(true) : list();
}

// Carries out the policy's decision: reports the fault, waits, and selects the next request.
asio::awaitable<void> ReflectorCore::follow(Step step, const Ended& ended) {
  const bool bad_request = ended.attempt.asked == Asked::kList && ended.attempt.status.code == 400;
  if (bad_request && !narrow_refused_ && !options_.narrow_field_selector.empty()) {
    narrow_refused_ = true;
    plan_ = {.consistent = ended.attempt.consistent, .plain = true};
    co_return;
  }
  plan_ = step;
  if (step.settled) {
    options_.backoff.reset();
    options_.relist_backoff.reset();
  }
  if (step.no_watch_list) watch_list_refused_ = options_.now();
  if (step.next == Step::Next::kOtherVersion) {
    ++versions_tried_;
    version_ = (version_ + 1) % options_.paths.size();
    co_return;
  }
  if (step.next == Step::Next::kUnserved) {
    const milliseconds length = options_.reprobe.next(options_.random());
    deliver_unserved();
    connection_.reset();
    co_await pause(length);
    co_return;
  }
  // All versions were refused: start again with the preferred one.
  if (ended.attempt.asked == Asked::kList && ended.attempt.status.code == 404) {
    versions_tried_ = 0;
    version_ = 0;
  }
  if (step.next == Step::Next::kList) short_lived_ = refusals_ = 0;
  const milliseconds length =
      pause_for(step, ended.attempt.status, backoff_for(step, ended.attempt));
  if (step.fault) report_fault(step, ended, length);
  if (options_.forbidden_is_none && is_forbidden(ended.attempt)) deliver_none();
  if (length.count() == 0) co_return;
  // Another connection may find another server, which does not help if this one asks us to wait.
  if (ended.attempt.status.code != 429) connection_.reset();
  co_await pause(length);
}

Backoff& ReflectorCore::backoff_for(const Step& step, const Attempt& attempt) {
  if (is_forbidden(attempt)) return options_.reprobe;
  return step.pause == Step::Pause::kRelist ? options_.relist_backoff : options_.backoff;
}

bool ReflectorCore::is_forbidden(const Attempt& attempt) const {
  return options_.may_be_forbidden && attempt.asked == Asked::kList && attempt.status.code == 403;
}

void ReflectorCore::deliver_none() {
  if (listed_before_ || std::exchange(delivered_none_, true)) return;
  list_started();
  list_finished();
}

void ReflectorCore::report_fault(const Step& step, const Ended& ended, milliseconds length) {
  const Asked asked = ended.attempt.asked;
  const bool watching =
      asked == Asked::kWatch || asked == Asked::kWatchList || asked == Asked::kProbe;
  std::string what = options_.kind + (watching ? " watch: " : " list: ") + ended.what;
  if (step.next == Step::Next::kNextPage) {
    what += "; the page is requested again";
  } else {
    what += step.next == Step::Next::kWatch ? "; watching again" : "; listing again";
  }
  what += length.count() == 0 ? " at once" : " in " + seconds_text(length);
  report(watching ? "watch" : "list", what, ended.attempt.status.code);
}

milliseconds ReflectorCore::pause_for(const Step& step, const ApiStatus& status, Backoff& backoff) {
  switch (step.pause) {
    case Step::Pause::kNone:
      return milliseconds(0);
    case Step::Pause::kBackoff:
    case Step::Pause::kRelist:
      return backoff.next(options_.random());
    case Step::Pause::kSpread:
      return duration_cast<milliseconds>(step.spread * options_.random());
    case Step::Pause::kRetryAfter: {
      // Every node gets the same Retry-After: spread the requests over another 10 %.
      const milliseconds asked =
          std::chrono::seconds(std::clamp(status.retry_after_seconds, 0, 300));
      const double random = options_.random();
      return std::max(asked + duration_cast<milliseconds>(asked * (0.1 * random)),
                      backoff.next(random));
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
  plan_ = {.plain = true};
  versions_tried_ = 0;
  version_ = 0;
  if (unserved_) return;
  unserved_ = true;
  report("unserved", options_.kind + ": this API server does not serve " + options_.paths.front() +
                         "; treated as empty, and checked again from time to time");
  list_started();
  list_finished();
}

bool ReflectorCore::may_watch_list() const {
  if (!options_.watch_list || plan_.plain || doubted_) return false;
  return !watch_list_refused_ || options_.now() - *watch_list_refused_ >= options_.watch_list_retry;
}

void ReflectorCore::begin_list() {
  ++counters_.lists;
  if (listed_before_) ++counters_.relists;
  list_begun_ = options_.now();
  list_open_ = false;
  went_back_ = false;
  list_version_.clear();
  listed_ = 0;
}

// The pages and the first watch after them share a connection. Every later watch opens a new one,
// so that a load balancer can choose another server.
asio::awaitable<ReflectorCore::Ended> ReflectorCore::list() {
  begin_list();
  std::string token;
  for (;;) {
    Ended ended = co_await list_page(token);
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return ended;
    if (ended.attempt.outcome == Outcome::kDone) {
      options_.page_backoff.reset();
      PageEnd end = page_end();
      listed_ += page_items_;
      if (list_version_.empty()) list_version_ = end.resource_version;
      if (token.empty() && !end.continue_token.empty()) server_pages_ = true;
      token = std::move(end.continue_token);
      if (!token.empty()) continue;
      if (is_doubtful()) {
        ended.attempt.outcome = Outcome::kDoubtful;
        ended.what = doubt_text();
      } else {
        finish_list(list_version_);
      }
      co_return ended;
    }
    const Step step = next_step(ended.attempt);
    if (step.next != Step::Next::kNextPage) co_return ended;
    ++counters_.page_retries;
    const milliseconds length = pause_for(step, ended.attempt.status, options_.page_backoff);
    report_fault(step, ended, length);
    if (ended.attempt.status.code != 429) connection_ = client_.connection();
    co_await pause(length);
    const bool stopped = co_await is_cancelled();
    if (stopped) co_return ended;
  }
}

GetRequest ReflectorCore::list_request(const std::string& query) const {
  GetRequest request{.path = options_.paths[version_] + query + selectors(),
                     .gzip = true,
                     .protobuf = takes_protobuf(),
                     .idle = options_.list_idle};
  return request;
}

asio::awaitable<ReflectorCore::Ended> ReflectorCore::list_page(std::string token) {
  page_items_ = 0;
  page_judged_ = false;
  GetRequest request = list_request(list_query({.held = resource_version_,
                                                .token = token,
                                                .limit = options_.page_limit,
                                                .consistent = plan_.consistent,
                                                .whole = plan_.whole,
                                                .server_pages = server_pages_}));
  request.on_head = [this](MediaType type) { open_page(type); };
  OnChunk on_chunk = [this](std::string_view bytes) { return take_list(bytes); };
  const Response response = co_await connection_->get(std::move(request), std::move(on_chunk));
  Ended ended = judge_page(response, token.empty() ? Asked::kList : Asked::kNextPage);
  note_absence(ended.attempt);
  co_return ended;
}

bool ReflectorCore::take_list(std::string_view bytes) {
  saw_contact();
  counters_.bytes += bytes.size();
  if (!list_open_) {
    list_open_ = true;
    list_started();
  }
  return feed_page(bytes) && !went_back_;
}

void ReflectorCore::finish_list(const std::string& resource_version) {
  resource_version_ = resource_version;
  held_ = listed_;
  listed_before_ = true;
  unserved_ = false;
  stuck_ = 0;
  broken_ = 0;
  doubted_.reset();
  doubts_ = 0;
  options_.reprobe.reset();
  if (version_ != 0 && !fallback_reported_) {
    fallback_reported_ = true;
    report("unserved", options_.kind + ": this API server does not serve " +
                           options_.paths.front() + "; read from " + options_.paths[version_]);
  }
  list_finished();
}

// `initial`: a WatchList, which begins with all objects and goes on as a watch.
asio::awaitable<ReflectorCore::Ended> ReflectorCore::watch(bool initial) {
  ++counters_.watches;
  initial_ = initial;
  if (initial) begin_list();
  watch_error_.reset();
  has_bookmarks_ = proven_ = went_back_ = false;
  const auto spread = options_.watch_longest - options_.watch_shortest;
  const auto timeout =
      options_.watch_shortest + duration_cast<std::chrono::seconds>(spread * options_.random());
  const milliseconds total = timeout + options_.watch_grace;
  const auto begun = options_.now();
  const std::string query =
      initial ? watch_list_query(plan_.consistent ? std::string() : resource_version_, timeout)
              : watch_query(resource_version_, timeout);
  GetRequest request{.path = options_.paths[version_] + query + selectors(),
                     .protobuf = takes_protobuf(),
                     .is_watch = true,
                     .total = total};
  request.on_head = [this](MediaType type) {
    watching_ = true;
    open_watch(options_.max_event_bytes, type);
  };
  request.idle_now = [this] {
    if (initial_) return options_.list_idle;
    return has_bookmarks_ ? options_.watch_idle : milliseconds(0);
  };
  OnChunk on_chunk = [this](std::string_view bytes) { return take_watch(bytes); };
  const Response response = co_await connection_->get(std::move(request), std::move(on_chunk));
  // A connection that carried a watch cannot carry another request.
  const bool refused = response.status >= 400;
  if (!refused || (response.status != 429 && !initial)) connection_.reset();
  watching_ = false;
  const auto lived = duration_cast<milliseconds>(options_.now() - begun);
  constexpr milliseconds kTick{10};  // how far the coarse clock may lag behind the connection's
  const WatchEnd end{.lived = lived, .timeout = timeout, .outlived = lived + kTick >= total};
  co_return judge_watch(response, end);
}

bool ReflectorCore::take_watch(std::string_view bytes) {
  saw_contact();
  counters_.bytes += bytes.size();
  if (initial_ && !list_open_) {
    list_open_ = true;
    list_started();
  }
  return feed_watch(bytes) && !watch_error_ && !went_back_ && !(initial_ && doubted_);
}

asio::awaitable<ReflectorCore::Ended> ReflectorCore::probe() {
  ++counters_.probes;
  GetRequest request = list_request(probe_query(resource_version_));
  request.on_head = [this](MediaType type) { open_probe(type); };
  OnChunk on_chunk = [this](std::string_view bytes) { return feed_page(bytes); };
  const Response response = co_await connection_->get(std::move(request), std::move(on_chunk));
  page_judged_ = true;
  went_back_ = false;
  co_return judge_page(response, Asked::kProbe);
}

// Whether the server has any version of the resource, by its own list of API groups.
asio::awaitable<ReflectorCore::Ended> ReflectorCore::discover() {
  std::string body;
  GetRequest request{.path = "/apis", .gzip = true, .idle = options_.list_idle};
  OnChunk on_chunk = [&body](std::string_view bytes) {
    body += bytes;
    return body.size() < kMaxDiscovery;
  };
  const Response response = co_await connection_->get(std::move(request), std::move(on_chunk));
  if (response.status != 0) saw_contact();
  Ended ended = judge_common(Asked::kDiscovery, response);
  ended.attempt.absences = absences_;
  const auto found = response.succeeded() ? discovery_has(body, options_.paths) : std::nullopt;
  if (found) {
    ended.attempt.outcome = Outcome::kDone;
    ended.attempt.found = *found;
  }
  ended.what = "404, and the server's discovery " +
               std::string(found ? "has it" : "does not answer: " + response.text());
  co_return ended;
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
  std::string fields = options_.field_selector;
  if (!narrow_refused_ && !options_.narrow_field_selector.empty())
    fields += (fields.empty() ? "" : ",") + options_.narrow_field_selector;
  if (!fields.empty()) text += "&fieldSelector=" + percent_encode(fields);
  return text;
}

void ReflectorCore::report_left_out(const DecodeFault& fault) {
  constexpr std::size_t kMostRemembered = 1024;
  if (left_out_reported_.size() == kMostRemembered) left_out_reported_.clear();
  const std::string what = fault.text() + ": left out";
  if (left_out_reported_.insert(what).second) report("decode", what, 0, fault.object);
}

void ReflectorCore::report(const char* fault_kind, const std::string& what, int status,
                           const std::string& object) {
  constexpr std::size_t kMaxFault = 2000;  // the message of a server's Status may be of any size
  if (!on_fault_) return;
  on_fault_({.kind = fault_kind,
             .what = config::printable(what, kMaxFault),
             .status = status,
             .object = object});
}

}  // namespace k8s
