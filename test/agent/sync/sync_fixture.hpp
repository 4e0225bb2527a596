// SPDX-License-Identifier: Apache-2.0
//
// The sync loop with its timers, on a fake kernel behind a real kernel thread. Its intervals are
// milliseconds, and no test sleeps: it runs the io_context until what it expects is the case.
#pragma once

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "agent/sync/sync_loop.hpp"
#include "test/agent/objects.hpp"
#include "test/fake/fake_kernel.hpp"

namespace agent::test {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using ipvs::Owner;
using ipvs::ServerKey;
using ipvs::ServicePlan;

inline const ServerKey kWeb{ip("10.96.0.1"), 80};

inline ServicePlan plan_of(const std::string& vip, const std::vector<std::string>& pods,
                           ipvs::Protocol protocol = ipvs::Protocol::kTcp) {
  ipvs::Server server{.settings = {.key = {ip(vip), 80, protocol}, .scheduler = "rr"}};
  for (const std::string& pod : pods) server.destinations.push_back({.endpoint = {ip(pod), 8080}});
  return {.servers = {server},
          .addresses = {ip(vip)},
          .elements = {{.kind = ipvs::ElementKind::kServiceIp,
                        .address = ip(vip),
                        .protocol = protocol,
                        .port = 80},
                       {.kind = ipvs::ElementKind::kVirtualIp, .address = ip(vip)}}};
}

// Writes down what it is asked for, in order.
struct RecordingKernel : fake::FakeKernel {
  std::vector<std::string> calls;
  std::size_t counts = 0;      // calls of count_ipv4_servers(), which are not in `calls`
  std::size_t audits = 0;      // calls of check_settings(), neither
  int readings_to_refuse = 0;  // calls of read_servers() and read_counters()
  // Called once, on the kernel thread, ahead of the first call after so many operations.
  std::size_t interrupt_after = 0;
  std::function<void()> when_interrupted{};
  void interrupt() {
    if (when_interrupted && operations >= interrupt_after) std::exchange(when_interrupted, {})();
  }
  std::map<ipvs::Address, int> refused_endpoints;  // with the errno for each NEW_DEST
  // How often virtual servers or their destinations were read.
  std::size_t reads() const {
    return std::count_if(calls.begin(), calls.end(), [](const std::string& call) {
      return call == "read_servers" || call == "read_destinations";
    });
  }

  ipvs::Result<ipvs::Observed> observe() override {
    calls.push_back("observe");
    return FakeKernel::observe();
  }
  ipvs::HostCheck check_settings() override {
    ++audits;
    return FakeKernel::check_settings();
  }
  ipvs::Result<std::size_t> count_ipv4_servers() override {
    ++counts;
    return FakeKernel::count_ipv4_servers();
  }
  std::vector<int> change_servers(std::span<const ipvs::ServerOp> ops) override {
    interrupt();
    if (!ops.empty()) calls.push_back("change_servers");
    std::vector<int> results;
    for (const ipvs::ServerOp& op : ops) {
      const auto refused = refused_endpoints.find(op.destination.endpoint.address);
      const bool is_new = op.command == ipvs::ServerCommand::kNewDest;
      results.push_back(is_new && refused != refused_endpoints.end()
                            ? refused->second
                            : FakeKernel::change_servers({&op, 1}).front());
    }
    return results;
  }
  std::vector<int> change_addresses(std::span<const ipvs::AddressOp> ops) override {
    interrupt();
    if (!ops.empty()) calls.push_back("change_addresses");
    return FakeKernel::change_addresses(ops);
  }
  int change_elements(std::span<const ipvs::ElementOp> ops) override {
    interrupt();
    if (!ops.empty()) calls.push_back("change_elements");
    return FakeKernel::change_elements(ops);
  }
  int install_table(const ipvs::TableRules& rules, std::span<const ipvs::Element> wanted) override {
    calls.push_back("install_table");
    return FakeKernel::install_table(rules, wanted);
  }
  int replace_rules(const ipvs::TableRules& rules) override {
    calls.push_back("replace_rules");
    return FakeKernel::replace_rules(rules);
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_servers(
      std::span<const ServerKey> keys) override {
    calls.push_back("read_servers");
    if (refuses_reading()) return ipvs::KernelError{ENOBUFS, "reading virtual servers"};
    return FakeKernel::read_servers(keys);
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_counters(
      std::span<const ServerKey> keys) override {
    calls.push_back("read_counters");
    if (refuses_reading()) return ipvs::KernelError{ENOBUFS, "reading virtual servers"};
    return FakeKernel::read_counters(keys);
  }
  bool refuses_reading() { return readings_to_refuse > 0 && readings_to_refuse-- > 0; }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_destinations(
      std::span<const ServerKey> keys) override {
    calls.push_back("read_destinations");
    return FakeKernel::read_destinations(keys);
  }
  ipvs::Result<std::vector<ipvs::Address>> read_addresses() override {
    calls.push_back("read_addresses");
    return FakeKernel::read_addresses();
  }
  ipvs::Result<std::size_t> delete_flows(std::span<const StaleFlow> flows) override {
    calls.push_back("delete_flows");
    return FakeKernel::delete_flows(flows);
  }
};

// The steady clock, set forward by a test that also counts how often it is read.
struct TestClock {
  static inline int reads = 0;
  static inline std::chrono::steady_clock::duration ahead{};

  static std::chrono::steady_clock::time_point now() {
    ++reads;
    return std::chrono::steady_clock::now() + ahead;
  }
};

struct RecordingObserver : SyncObserver {
  std::vector<PassReport> passes;
  std::vector<ipvs::Failure> failures;
  std::vector<Remedy> remedies;  // of each
  std::vector<ipvs::Failure> over;
  std::vector<Reconciler::Conflict> conflicts;
  std::vector<std::string> drifts, waits, taken_over;
  std::vector<std::string> drift_lines;   // of each
  std::map<CutCause, std::uint64_t> cut;  // connections
  std::uint64_t drained = 0;
  std::map<ipvs::Family, std::size_t> flows_forgotten;
  std::function<void()> when_passed, when_failed;

  void on_pass(const PassReport& report) override {
    passes.push_back(report);
    if (when_passed) std::exchange(when_passed, nullptr)();
  }
  void on_planned(const Owner&, const std::optional<PlannedService>&) override {}
  void on_failure(const ipvs::Failure& failure, Remedy remedy) override {
    failures.push_back(failure);
    remedies.push_back(remedy);
    if (when_failed) std::exchange(when_failed, nullptr)();
  }
  void on_failure_over(const ipvs::Failure& failure) override { over.push_back(failure); }
  void on_conflict(const Reconciler::Conflict& c) override { conflicts.push_back(c); }
  void on_taken_over(const Owner& service, const ServerKey& key) override {
    taken_over.push_back(service + " " + key.text());
  }
  void on_flows_forgotten(ipvs::Family family, std::size_t flows, double) override {
    flows_forgotten[family] += flows;
  }
  void on_departures(const Departures& departures) override {
    for (const auto& [of, count] : departures.cut) cut[of.second] += count;
    for (const auto& [service, count] : departures.drained) drained += count;
  }
  void on_drift(const std::string& kind, std::size_t count, const std::string& what) override {
    for (std::size_t i = 0; i < count; ++i) drifts.push_back(kind);
    drift_lines.push_back(what);
  }
  void on_waiting(const std::string& what) override { waits.push_back(what); }
};

inline SyncOptions quick() {
  return {.min_gap = 0ms,
          .drain_interval = 1ms,
          .again_interval = 1ms,
          .audit_interval = 1h,
          .count_interval = 1h,
          .retry_first = 1ms,
          .retry_limit = 4ms,
          .object_retry_limit = 4ms};
}

// Plans as a test sets them.
struct FakePlans : ServicePlans {
  std::map<Owner, PlannedService> wanted;
  std::set<ipvs::Address> drainable;
  ipvs::TableRules rules;
  std::vector<ipvs::Address> node_addresses;
  std::set<std::string> schedulers_known;  // any other is the default scheduler
  std::vector<Owner> drained_services;

  std::optional<PlannedService> plan(const Owner& service) override {
    const auto found = wanted.find(service);
    if (found == wanted.end()) return std::nullopt;
    return found->second;
  }
  bool may_drain(const Owner&, const ipvs::Endpoint& e) const override {
    return drainable.contains(e.address);
  }
  void drained(const Owner& service) override {
    drained_services.push_back(service);
    wanted.erase(service);
  }
  bool scheduler_is_missing(const std::string& scheduler) override {
    return schedulers_known.erase(scheduler) > 0;
  }
  ipvs::TableRules table_rules() const override { return rules; }
  std::vector<ipvs::Address> node_port_addresses() const override { return node_addresses; }
};

// A running loop. The kernel is only used on its own thread, also by on_kernel().
class SyncFixture {
 public:
  explicit SyncFixture(SyncOptions options = quick())
      : sync(context_.get_executor(), kernel_, thread_, plans, observer, options) {
    asio::co_spawn(context_, sync.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr error) {
                     ended = true;
                     error_ = error;
                   }));
  }
  ~SyncFixture() { stop(); }
  SyncFixture(const SyncFixture&) = delete;
  SyncFixture& operator=(const SyncFixture&) = delete;

  void want(const Owner& owner, ServicePlan plan) {
    plans.wanted[owner] = {.since = 0, .plan = std::move(plan)};
    sync.mark_dirty(owner);
  }
  void drop(const Owner& owner) {
    plans.wanted.erase(owner);
    sync.mark_dirty(owner);
  }
  // Delivers the first lists, and waits until the kernel has all that they ask for.
  void settle() {
    sync.sources_ready();
    until([this] { return sync.complete(); });
    until_idle();
  }
  // Until no event waits.
  void until_idle() {
    until([this] { return sync.pending() == 0 && !sync.waiting_since(); });
  }

  void step() {
    if (context_.stopped()) context_.restart();
    if (context_.run_one_for(20s) == 0) throw std::runtime_error("nothing happened for 20 s");
  }
  template <typename Condition>
  void until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      step();
      if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("not within 60 s");
    }
  }
  // Runs what is ready, many times over.
  void run_what_is_ready() {
    for (int i = 0; i < 100; ++i) {
      if (context_.stopped()) context_.restart();
      context_.poll();
    }
  }
  void on_kernel(const std::function<void(RecordingKernel&)>& work) {
    bool done = false;
    asio::co_spawn(context_, thread_.run([&] {
      work(kernel_);
      return true;
    }),
                   [&](std::exception_ptr, bool) { done = true; });
    until([&] { return done; });
  }
  RecordingKernel look() {
    RecordingKernel copy;
    on_kernel([&](RecordingKernel& kernel) { copy = kernel; });
    return copy;
  }
  // Something happens in the middle of the kernel thread's next jobs, after so many operations more:
  // the thread waits until it has.
  void interrupt_kernel(std::size_t after, std::function<void()> event) {
    on_kernel([&](RecordingKernel& kernel) {
      kernel.interrupt_after = kernel.operations + after;
      kernel.when_interrupted = [this, event = std::move(event)] {
        std::promise<void> done;
        asio::post(context_, [&] {
          event();
          done.set_value();
        });
        done.get_future().wait();
      };
    });
  }
  void stop() {
    stop_.emit(asio::cancellation_type::terminal);
    until([this] { return ended; });
  }
  bool was_cancelled() const {
    try {
      if (error_) std::rethrow_exception(error_);
    } catch (const boost::system::system_error& error) {
      return error.code() == asio::error::operation_aborted;
    }
    return false;
  }

  FakePlans plans;
  RecordingObserver observer;
  bool ended = false;

 private:
  asio::io_context context_;
  RecordingKernel kernel_;
  KernelThread thread_;
  asio::cancellation_signal stop_;
  std::exception_ptr error_;

 public:
  SyncLoop sync;
};

}  // namespace agent::test
