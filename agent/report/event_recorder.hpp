// SPDX-License-Identifier: Apache-2.0
//
// Posts Kubernetes Events (events.k8s.io/v1, Kubernetes 1.19 or later) about Services and the node,
// for those who look with kubectl and do not see our log.
//
// An Event is a courtesy: nobody waits for it, and nothing fails for want of it. What is told goes
// into a queue, and a coroutine posts from there: 25 at once and one each 5 s thereafter, so that
// a bad day is not made worse for the API server. The same about the same is not told again within
// 10 minutes. An Event that cannot be posted is tried 4 times. A server that does not let us post
// at all (403, 404) is not asked again by this process: on_fault gets its one line.
//
// Threading: the agent's io_context thread.
// Invariants: the queue holds kMaxQueued at most; the oldest go first. What is posted has the time
// at which it was told.
// Errors: to on_result and on_fault. run() ends only by being cancelled; what is queued then is
// lost.
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
  k8s::ObjectKey key;  // without a namespace: the Event goes to namespace "default"
  std::string uid;
  std::string resource_version;
};

Subject subject_of(const k8s::Service& service);
// As kubelet and kube-proxy have it: the uid is the name, by which `kubectl describe node` looks.
Subject subject_of_node(const std::string& name);

class EventRecorder {
 public:
  static constexpr std::size_t kMaxQueued = 100;
  static constexpr int kBurst = 25;
  static constexpr std::chrono::milliseconds kRefill{5'000};  // one more Event
  static constexpr std::chrono::minutes kQuiet{10};           // before the same is told again
  static constexpr unsigned kMaxTries = 4;

  enum class Result : std::uint8_t {
    kPosted,
    kDropped,  // the queue was full, or the server takes none at all
    kFailed,   // refused, or not posted at the last try
  };

  struct Options {
    std::string node_name;
    std::function<void(Result)> on_result = {};
    std::function<void(const std::string&)> on_fault = {};  // one line for the log
    // Injected by tests. `pause` is given the length of every wait and returns the one to take.
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    std::function<std::chrono::system_clock::time_point()> wall_clock =
        std::chrono::system_clock::now;
    std::function<std::chrono::milliseconds(std::chrono::milliseconds)> pause = {};
    std::function<std::uint64_t()> random = {};  // default: seeded by the system
  };

  // Without a client (manifests) it does nothing.
  EventRecorder(boost::asio::any_io_executor executor, k8s::ApiClient* client, Options options);

  // `reason`: a word for machines, "AddressTaken"; `action`: what was being done, "Claim"; 1-128
  // bytes each. `text`: for people, cut at 1024 bytes. Cheap, callable at any time.
  void warn(const Subject& subject, std::string reason, std::string action, std::string text);
  void note(const Subject& subject, std::string reason, std::string action, std::string text);

  // Posts until cancelled.
  boost::asio::awaitable<void> run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Event {
    Subject subject;
    std::string ns;    // of the Event itself
    std::string name;  // the same for each try, so that one that did arrive is not posted twice
    const char* type = "";
    std::string reason;
    std::string action;
    std::string text;
    std::chrono::system_clock::time_point at;
  };
  enum class Verdict : std::uint8_t { kPosted, kAgain, kElsewhere, kRefused, kRefusedForGood };

  void record(const char* type, const Subject& subject, std::string reason, std::string action,
              std::string text);
  bool told_lately(std::string what);
  std::string json_of(const Event& event) const;
  static Verdict judge(const Event& event, const k8s::Response& response);
  std::chrono::milliseconds take_token();
  boost::asio::awaitable<void> post_first();
  void settle(const Event& event, Verdict verdict, const k8s::Response& response);
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
  std::set<std::string> told_;
  std::deque<std::pair<Clock::time_point, std::string>> told_in_order_;
};

}  // namespace agent
