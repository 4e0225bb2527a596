// SPDX-License-Identifier: Apache-2.0
//
// Posts Kubernetes Events (events.k8s.io/v1, Kubernetes 1.19 or later) about Services and the node,
// for users of kubectl who do not read our log.
//
// Events are best effort: nothing waits for them and nothing depends on them. warn() and note() put
// them into a queue; a coroutine posts them, the first 25 at once and then one every 5 s, so that
// trouble with the API server is not made worse. An equal Event is not posted again within 10
// minutes. Each is tried 4 times at most. If the API server refuses Events altogether (403, 404),
// this process posts no more of them and reports that once, through on_fault.
//
// Threading: the agent's io_context thread.
// Invariants: the queue holds at most kMaxQueued Events; the oldest are dropped first. A posted
// Event carries the time at which it was queued.
// Errors: to on_result and on_fault. run() ends only when cancelled; Events in the queue are lost
// then.
// Metrics: kube_ipvs_events_total, by on_result.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "k8s/client/api_client.hpp"
#include "k8s/types.hpp"

namespace agent {

// What an Event is about.
struct Subject {
  std::string kind;    // "Service", "Node"; of API version v1
  k8s::ObjectKey key;  // without a namespace, the Event is created in namespace "default"
  std::string uid;
  std::string resource_version;
};

Subject subject_of(const k8s::Service& service);
// As kubelet and kube-proxy do: the uid is the name, for which `kubectl describe node` searches.
Subject subject_of_node(const std::string& name);

class EventRecorder {
 public:
  static constexpr std::size_t kMaxQueued = 100;
  static constexpr int kBurst = 25;
  static constexpr std::chrono::milliseconds kRefill{5'000};  // one more Event
  static constexpr std::chrono::minutes kQuiet{10};  // before an equal Event is posted again
  static constexpr unsigned kMaxTries = 4;

  enum class Result : std::uint8_t {
    kPosted,
    kDropped,  // the queue was full, or the server refuses all Events
    kFailed,   // refused, or not posted at the last try
  };

  // Who writes them (reportingController); kube-proxy's name where the agent was started under it.
  static constexpr const char* kController = "kube-ipvs.io/kube-ipvs";
  static constexpr const char* kKubeProxy = "kube-proxy";

  struct Options {
    std::string node_name;
    std::string controller = kController;
    std::function<void(Result)> on_result = {};
    std::function<void(const std::string&)> on_fault = {};  // one line for the log
    // Injected by tests. `pause` gets the length of every wait and returns the length to use.
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    std::function<std::chrono::system_clock::time_point()> wall_clock =
        std::chrono::system_clock::now;
    std::function<std::chrono::milliseconds(std::chrono::milliseconds)> pause = {};
    std::function<std::uint64_t()> random = {};  // default: seeded by the system
  };

  // `client`: nullptr with manifests; then no Event is posted.
  EventRecorder(boost::asio::any_io_executor executor, k8s::ApiClient* client, Options options);

  // `reason`: a word for machines, "AddressTaken"; `action`: what the agent was doing, "Claim";
  // 1-128 bytes each. `text`: for people, cut at 1024 bytes. Only queues the Event.
  void warn(const Subject& subject, std::string reason, std::string action, std::string text);
  void note(const Subject& subject, std::string reason, std::string action, std::string text);

  // Posts until cancelled.
  boost::asio::awaitable<void> run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Event {
    Subject subject;
    std::string ns;    // of the Event itself
    std::string name;  // the same for each try, so that an Event is not created twice
    const char* type = "";
    std::string reason;
    std::string action;
    std::string text;
    std::chrono::system_clock::time_point at;
  };
  enum class Verdict : std::uint8_t { kPosted, kAgain, kElsewhere, kRefused, kRefusedForGood };

  void record(const char* type, const Subject& subject, std::string reason, std::string action,
              std::string text);
  bool is_repeated(std::string what);
  std::string json_of(const Event& event) const;
  static Verdict judge(const Event& event, const k8s::Response& response);
  std::chrono::milliseconds take_token();
  boost::asio::awaitable<void> post_first();
  void conclude(const Event& event, Verdict verdict, const k8s::Response& response);
  boost::asio::awaitable<void> wait_for_event();
  boost::asio::awaitable<void> pause(std::chrono::milliseconds length);
  void count(Result result, std::size_t times = 1);

  boost::asio::any_io_executor executor_;
  k8s::ApiClient* client_;
  Options options_;
  boost::asio::steady_timer wake_;  // cancelled when there is something to post

  std::deque<Event> queue_;
  bool refused_ = false;
  double tokens_ = kBurst;
  Clock::time_point refilled_;
  // Events of the last kQuiet, as text.
  std::set<std::string> recent_;
  std::deque<std::pair<Clock::time_point, std::string>> recent_in_order_;
};

}  // namespace agent
