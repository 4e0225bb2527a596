// SPDX-License-Identifier: Apache-2.0
#include "agent/report/event_recorder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <random>
#include <string_view>

#include "config/printable.hpp"
#include "k8s/async/cancellation.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Limits of pkg/apis/core/validation/events.go, in bytes.
constexpr std::size_t kMaxNote = 1024;
constexpr std::size_t kMaxWord = 128;
constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxRecent = 1000;
constexpr milliseconds kFirstRetry{1'000};

std::function<std::uint64_t()> seeded_random() {
  return [engine = std::mt19937_64(std::random_device{}())]() mutable { return engine(); };
}

// One line of printable text, cut between two characters of UTF-8.
std::string cut(std::string text, std::size_t size) {
  text = config::printable(text, text.size() * 4);
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  text.resize(size);
  return text;
}

// "web.17a3...": the name of the subject and a suffix; a DNS subdomain.
std::string event_name(const std::string& about, std::uint64_t random) {
  const std::string suffix = fmt::format(".{:016x}", random);
  std::string name = about.substr(0, kMaxName - suffix.size());
  while (!name.empty() && (name.back() == '.' || name.back() == '-')) name.pop_back();
  return name + suffix;
}

// metav1.MicroTime.
std::string micro_time(std::chrono::system_clock::time_point at) {
  const auto micros = duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(micros / 1'000'000),
                     micros % 1'000'000);
}

// For a namespace that is deleted or being deleted, the server answers with the same status codes
// as if it refused Events altogether; the text of its metav1.Status differs (`namespaces "x" not
// found`, cause NamespaceTerminating).
bool is_about_namespace(const std::string& body) {
  return body.find(R"(namespaces \")") != std::string::npos ||
         body.find("NamespaceTerminating") != std::string::npos ||
         body.find("is being terminated") != std::string::npos;
}

}  // namespace

Subject subject_of(const k8s::Service& service) {
  return {.kind = "Service",
          .key = service.meta.key,
          .uid = service.meta.uid,
          .resource_version = service.meta.resource_version};
}

Subject subject_of_node(const std::string& name) {
  return {.kind = "Node", .key = {.ns = {}, .name = name}, .uid = name, .resource_version = {}};
}

EventRecorder::EventRecorder(asio::any_io_executor executor, k8s::ApiClient* client,
                             Options options)
    : executor_(std::move(executor)),
      client_(client),
      options_(std::move(options)),
      wake_(executor_) {
  if (!options_.random) options_.random = seeded_random();
  refilled_ = options_.now();
}

void EventRecorder::warn(const Subject& subject, std::string reason, std::string action,
                         std::string text) {
  record("Warning", subject, std::move(reason), std::move(action), std::move(text));
}

void EventRecorder::note(const Subject& subject, std::string reason, std::string action,
                         std::string text) {
  record("Normal", subject, std::move(reason), std::move(action), std::move(text));
}

void EventRecorder::record(const char* type, const Subject& subject, std::string reason,
                           std::string action, std::string text) {
  if (client_ == nullptr) return;
  text = cut(std::move(text), kMaxNote);
  if (is_repeated(subject.kind + ' ' + subject.key.text() + ' ' + reason + ' ' + text)) return;
  if (refused_) {
    count(Result::kDropped);
    return;
  }
  if (queue_.size() == kMaxQueued) {
    queue_.pop_front();
    count(Result::kDropped);
  }
  queue_.push_back({.subject = subject,
                    .ns = subject.key.ns.empty() ? "default" : subject.key.ns,
                    .name = event_name(subject.key.name, options_.random()),
                    .type = type,
                    .reason = cut(std::move(reason), kMaxWord),
                    .action = cut(std::move(action), kMaxWord),
                    .text = std::move(text),
                    .at = options_.wall_clock()});
  wake_.cancel();
}

bool EventRecorder::is_repeated(std::string what) {
  const auto now = options_.now();
  while (!recent_in_order_.empty() && (recent_in_order_.front().first + kQuiet <= now ||
                                       recent_in_order_.size() >= kMaxRecent)) {
    recent_.erase(recent_in_order_.front().second);
    recent_in_order_.pop_front();
  }
  if (!recent_.insert(what).second) return true;
  recent_in_order_.emplace_back(now, std::move(what));
  return false;
}

// k8s.io/api/events/v1 Event.
std::string EventRecorder::json_of(const Event& event) const {
  boost::json::object regarding{
      {"apiVersion", "v1"}, {"kind", event.subject.kind}, {"name", event.subject.key.name}};
  const auto put = [&](const char* field, const std::string& value) {
    if (!value.empty()) regarding[field] = value;
  };
  put("namespace", event.subject.key.ns);
  put("uid", event.subject.uid);
  put("resourceVersion", event.subject.resource_version);
  const boost::json::object metadata{{"namespace", event.ns}, {"name", event.name}};
  return boost::json::serialize(
      boost::json::object{{"apiVersion", "events.k8s.io/v1"},
                          {"kind", "Event"},
                          {"metadata", metadata},
                          {"eventTime", micro_time(event.at)},
                          {"reportingController", options_.controller},
                          {"reportingInstance", cut(options_.node_name, kMaxWord)},
                          {"regarding", regarding},
                          {"type", event.type},
                          {"reason", event.reason},
                          {"action", event.action},
                          {"note", event.text}});
}

EventRecorder::Verdict EventRecorder::judge(const Event& event, const k8s::Response& response) {
  const unsigned status = response.status;
  if (status >= 200 && status < 300) return Verdict::kPosted;
  if (status == 409) return Verdict::kPosted;  // an earlier try succeeded, but its answer was lost
  if (status == 403 || status == 404)
    return is_about_namespace(response.body) ? Verdict::kRefused : Verdict::kRefusedForGood;
  // Before 1.21, Events about objects without a namespace are only allowed in kube-system.
  if (status == 422 && event.subject.key.ns.empty() && event.ns == "default")
    return Verdict::kElsewhere;
  const bool hopeless = status >= 400 && status < 500 && status != 401 && status != 429;
  return hopeless ? Verdict::kRefused : Verdict::kAgain;
}

// How long to wait before the next Event may be posted; 0: now, and its token is taken.
milliseconds EventRecorder::take_token() {
  const auto now = options_.now();
  const double more = std::chrono::duration<double>(now - refilled_) / kRefill;
  tokens_ = std::min<double>(kBurst, tokens_ + more);
  refilled_ = now;
  if (tokens_ < 1) return std::chrono::ceil<milliseconds>((1 - tokens_) * kRefill);
  tokens_ -= 1;
  return milliseconds(0);
}

asio::awaitable<void> EventRecorder::run() {
  // Cancellation is checked after each wait instead of thrown: a normal end needs no exception.
  const bool threw_before = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  bool cancelled = false;
  while (!cancelled) {
    if (queue_.empty()) {
      co_await wait_for_event();
    } else if (const milliseconds wait = take_token(); wait.count() > 0) {
      co_await pause(wait);
    } else {
      co_await post_first();
    }
    cancelled = co_await k8s::is_cancelled();
  }
  co_await asio::this_coro::throw_if_cancelled(threw_before);
}

asio::awaitable<void> EventRecorder::post_first() {
  Event event = std::move(queue_.front());
  queue_.pop_front();
  milliseconds delay = kFirstRetry;
  for (unsigned tries = 1;; ++tries) {
    std::string path = "/apis/events.k8s.io/v1/namespaces/" + event.ns + "/events";
    std::string json = json_of(event);
    const k8s::Response response = co_await client_->post(std::move(path), std::move(json));
    bool cancelled = co_await k8s::is_cancelled();
    if (cancelled) co_return;
    const Verdict verdict = judge(event, response);
    const bool last = tries == kMaxTries;
    if (last || (verdict != Verdict::kAgain && verdict != Verdict::kElsewhere)) {
      conclude(event, verdict, response);
      co_return;
    }
    if (verdict == Verdict::kElsewhere) {
      event.ns = "kube-system";
      continue;
    }
    const milliseconds asked = response.retry_after.value_or(std::chrono::seconds(0));
    co_await pause(std::max(delay, asked));
    cancelled = co_await k8s::is_cancelled();
    if (cancelled) co_return;
    delay *= 2;
  }
}

void EventRecorder::conclude(const Event& event, Verdict verdict, const k8s::Response& response) {
  if (verdict == Verdict::kPosted) {
    count(Result::kPosted);
    return;
  }
  count(Result::kFailed);
  std::string fault;
  if (verdict == Verdict::kRefusedForGood) {
    refused_ = true;
    count(Result::kDropped, queue_.size());
    queue_.clear();
    fault = "No more Events will be posted; see the log instead. The API server answered " +
            response.text() + " (does the RBAC role allow create on events.events.k8s.io?)";
  } else {
    fault = "Event " + event.reason + " about " + event.subject.kind + " " +
            event.subject.key.text() + " is not posted: " + response.text();
  }
  if (options_.on_fault) options_.on_fault(fault);
}

asio::awaitable<void> EventRecorder::wait_for_event() {
  wake_.expires_at(asio::steady_timer::time_point::max());
  co_await wake_.async_wait(kAwait);
}

asio::awaitable<void> EventRecorder::pause(milliseconds length) {
  if (options_.pause) length = options_.pause(length);
  asio::steady_timer timer(executor_, length);
  co_await timer.async_wait(kAwait);
}

void EventRecorder::count(Result result, std::size_t times) {
  if (!options_.on_result) return;
  for (; times > 0; --times) options_.on_result(result);
}

}  // namespace agent
