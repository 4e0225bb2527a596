// SPDX-License-Identifier: Apache-2.0
//
// The loop with its waiting: a fake kernel behind a real kernel thread. Time passes in milliseconds
// and is never waited for: each test drives the io_context until what it expects has come about.
#include "agent/sync_loop.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

#include "test/agent/objects.hpp"
#include "test/agent/plan_text.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using namespace std::chrono_literals;
using agent::PassReport;
using agent::SyncInputs;
using agent::SyncLoop;
using agent::SyncOptions;
using ipvs::Owner;
using ipvs::ServerKey;
using ipvs::ServicePlan;

const ServerKey kWeb{ip("10.96.0.1"), 80};

ServicePlan plan_of(const std::string& vip, const std::vector<std::string>& pods,
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

// Counts how often it is read.
struct CountingKernel : fake::FakeKernel {
  std::size_t reads = 0;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_servers(
      std::span<const ServerKey> keys) override {
    ++reads;
    return FakeKernel::read_servers(keys);
  }
};

struct Observer : agent::SyncObserver {
  std::vector<PassReport> passes;
  std::vector<ipvs::Failure> failures;
  std::vector<agent::Reconciler::Conflict> conflicts;
  std::vector<std::string> drifts, waits;
  std::function<void()> when_passed, when_failed;

  void on_pass(const PassReport& report) override {
    passes.push_back(report);
    if (when_passed) std::exchange(when_passed, nullptr)();
  }
  void on_failure(const ipvs::Failure& failure) override {
    failures.push_back(failure);
    if (when_failed) std::exchange(when_failed, nullptr)();
  }
  void on_conflict(const agent::Reconciler::Conflict& c) override { conflicts.push_back(c); }
  void on_drift(const std::string& kind, const std::string&) override { drifts.push_back(kind); }
  void on_waiting(const std::string& what) override { waits.push_back(what); }
};

SyncOptions quick() {
  return {.rules = {},
          .min_gap = 0ms,
          .drain_interval = 1ms,
          .audit_interval = 1h,
          .retry_first = 1ms,
          .retry_limit = 4ms};
}

// A loop at work. The kernel is touched on its thread only, by on_kernel() too.
class Fixture {
 public:
  explicit Fixture(SyncOptions options = quick())
      : sync(context_.get_executor(), kernel_, thread_, inputs(), observer, options) {
    asio::co_spawn(context_, sync.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr error) {
                     ended = true;
                     error_ = error;
                   }));
  }
  ~Fixture() { stop(); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  void want(const Owner& owner, ServicePlan plan) {
    wanted[owner] = {.since = 0, .plan = std::move(plan)};
    sync.mark_dirty(owner);
  }
  void drop(const Owner& owner) {
    wanted.erase(owner);
    sync.mark_dirty(owner);
  }
  // The first lists are there, and all they ask for is in the kernel.
  void settle() {
    sync.sources_ready();
    until([this] { return sync.complete(); });
    until_idle();
  }
  // Nothing is waiting to be done.
  void until_idle() {
    until([this] { return sync.pending() == 0 && !sync.waiting_since(); });
  }

  void step() {
    if (context_.stopped()) context_.restart();
    if (context_.run_one_for(20s) == 0) throw std::runtime_error("nothing happens any more");
  }
  template <typename Condition>
  void until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      step();
      if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("never came about");
    }
  }
  // Runs what is ready, many times over.
  void run_what_is_ready() {
    for (int i = 0; i < 100; ++i) {
      if (context_.stopped()) context_.restart();
      context_.poll();
    }
  }
  void on_kernel(const std::function<void(CountingKernel&)>& work) {
    bool done = false;
    asio::co_spawn(context_, thread_.run([&] {
      work(kernel_);
      return true;
    }),
                   [&](std::exception_ptr, bool) { done = true; });
    until([&] { return done; });
  }
  CountingKernel look() {
    CountingKernel copy;
    on_kernel([&](CountingKernel& kernel) { copy = kernel; });
    return copy;
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

  std::map<Owner, SyncInputs::Plan> wanted;
  std::set<ipvs::Address> drainable;
  std::vector<ipvs::Address> node_addresses;
  Observer observer;
  bool ended = false;

 private:
  SyncInputs inputs() {
    return {.plan = [this](const Owner& owner) -> std::optional<SyncInputs::Plan> {
              const auto found = wanted.find(owner);
              if (found == wanted.end()) return std::nullopt;
              return found->second;
            },
            .may_drain = [this](const ipvs::Endpoint& e) { return drainable.contains(e.address); },
            .node_port_addresses = [this] { return node_addresses; }};
  }

  asio::io_context context_;
  CountingKernel kernel_;
  agent::KernelThread thread_;
  asio::cancellation_signal stop_;
  std::exception_ptr error_;

 public:
  SyncLoop sync;
};

}  // namespace

TEST_CASE("nothing is read or changed before every source has delivered its first list") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.on_kernel([](auto& kernel) { kernel.observe_error = EIO; });  // reading would be heard of
  f.run_what_is_ready();
  CHECK(f.look().log.empty());
  CHECK(f.observer.waits.empty());
  CHECK_FALSE(f.sync.complete());
  f.on_kernel([](auto& kernel) { kernel.observe_error = 0; });
  f.settle();
  CHECK(f.look().servers.size() == 1);
}

TEST_CASE("the first pass finds the table in place, and says that it was the first") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  CHECK(f.look().log ==
        std::vector<std::string>{"install table of 2", "NEW_SERVICE TCP 10.96.0.1:80 rr",
                                 "NEW_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w1", "bind 10.96.0.1"});
  CHECK(f.look().violations.empty());
  REQUIRE(f.observer.passes.size() == 1);
  CHECK(f.observer.passes[0].first);
  CHECK(f.observer.passes[0].operations == 3);
}

TEST_CASE("an empty cluster is complete too") {
  Fixture f;
  f.settle();
  CHECK(f.look().table_present);
  CHECK(f.observer.passes.size() == 1);
}

TEST_CASE("a burst of events costs one pass") {
  Fixture f;
  f.settle();
  for (int i = 0; i < 100; ++i) {
    f.want("a/web-" + std::to_string(i), plan_of("10.96.1." + std::to_string(i), {"10.244.0.1"}));
    f.sync.mark_dirty("a/web-" + std::to_string(i));
  }
  f.until_idle();
  REQUIRE(f.observer.passes.size() == 2);
  CHECK(f.observer.passes[1].services == 100);
  CHECK_FALSE(f.observer.passes[1].first);
  CHECK(f.look().servers.size() == 100);
}

TEST_CASE("an event that comes while a pass is under way is not lost") {
  Fixture f;
  f.settle();
  f.observer.when_passed = [&] { f.want("a/late", plan_of("10.96.0.2", {"10.244.0.2"})); };
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return f.observer.passes.size() == 3; });
  CHECK(f.look().servers.size() == 2);
}

TEST_CASE("a Service that changes nothing in the kernel costs it nothing") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  const auto before = f.look().log;
  f.sync.mark_dirty("a/web");
  f.until_idle();
  CHECK(f.look().log == before);
}

TEST_CASE("what the kernel refuses is reported, retried, and meanwhile counted as waiting") {
  Fixture f;
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 12; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return !f.observer.failures.empty() && f.observer.passes.size() >= 2; });
  CHECK(f.observer.failures[0].error_number == ENOMEM);
  CHECK(f.observer.failures[0].owner == "a/web");
  CHECK(f.observer.passes[1].failing_keys > 0);
  CHECK(f.sync.waiting_since());
  f.until([&] { return f.sync.reconciler().failed_count() == 0; });
  f.until_idle();
  CHECK(f.look().servers.at(kWeb) == f.wanted["a/web"].plan.servers[0]);
  CHECK(f.look().addresses.contains(ip("10.96.0.1")));
  CHECK(f.look().violations.empty());
  CHECK(f.observer.passes.size() > 3);
}

TEST_CASE("what has been waiting for long is not rejuvenated by newer events") {
  SyncOptions options = quick();
  options.retry_first = options.retry_limit = 1h;
  Fixture f(options);
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 8; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  const auto since = f.sync.waiting_since();
  f.observer.when_failed = [&] { f.sync.mark_dirty("a/other"); };
  f.until([&] { return f.observer.passes.size() == 3; });
  CHECK(f.sync.waiting_since() == since);
  f.sync.mark_dirty("a/other");
  f.until([&] { return f.observer.passes.size() == 4; });
  CHECK(f.sync.waiting_since() == since);
}

TEST_CASE("other Services go on while one fails") {
  SyncOptions options = quick();
  options.retry_first = options.retry_limit = 1h;
  Fixture f(options);
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 8; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return f.observer.passes.size() == 2; });
  f.on_kernel([](auto& kernel) { kernel.operations += 100; });  // past all planned failures
  f.want("a/other", plan_of("10.96.0.2", {"10.244.0.2"}));
  f.until([&] { return f.observer.passes.size() == 3; });
  const auto kernel = f.look();
  CHECK(kernel.servers.contains({ip("10.96.0.2"), 80}));
  CHECK_FALSE(kernel.servers.contains(kWeb));
}

TEST_CASE("a draining endpoint is looked at until its connections have ended, and then deleted") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.2"}));
  f.drainable = {ip("10.244.0.1")};
  f.settle();
  f.on_kernel([](auto& kernel) {
    kernel.active_connections[{kWeb, {ip("10.244.0.1"), 8080}}] = 3;
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));
  f.until([&] { return f.look().reads >= 4; });
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n"
        "  -> 10.244.0.1:8080 weight 0\n"
        "  -> 10.244.0.2:8080 weight 1\n");
  SECTION("its connections end") {
    f.on_kernel([](auto& kernel) { kernel.active_connections.clear(); });
  }
  SECTION("its Pod is gone") { f.drainable.clear(); }
  f.until([&] { return f.sync.reconciler().ledger().servers_with_resting().empty(); });
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n"
        "  -> 10.244.0.2:8080 weight 1\n");
  const std::size_t reads = f.look().reads;
  f.run_what_is_ready();
  CHECK(f.look().reads == reads);  // nothing rests, nothing is looked at
}

TEST_CASE("UDP flows to what is gone are forgotten by conntrack, TCP flows are not touched") {
  Fixture f;
  const auto udp = ipvs::Protocol::kUdp;
  f.want("a/dns", plan_of("10.96.0.10", {"10.244.0.1", "10.244.0.2"}, udp));
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  CHECK(f.look().deleted_flows.empty());
  f.want("a/dns", plan_of("10.96.0.10", {"10.244.0.2"}, udp));
  f.want("a/web", plan_of("10.96.0.1", {}));
  f.until_idle();
  const ServerKey dns{ip("10.96.0.10"), 80, udp};
  using Flows = std::vector<ipvs::Kernel::StaleFlow>;
  CHECK(f.look().deleted_flows ==
        Flows{{.server = dns, .endpoint = ipvs::Endpoint{ip("10.244.0.1"), 8080}}});
  f.drop("a/dns");
  f.drop("a/web");
  f.until_idle();
  REQUIRE(f.look().deleted_flows.size() == 2);
  CHECK(f.look().deleted_flows[1] ==
        ipvs::Kernel::StaleFlow{.server = dns, .endpoint = std::nullopt});
}

TEST_CASE("the audit finds what somebody else changed, and puts it right") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.want("a/api", plan_of("10.96.0.2", {"10.244.0.2"}));
  f.settle();
  const std::string right = kernel_text(f.look());
  std::string drift = "server";
  SECTION("a virtual server deleted") {
    f.on_kernel([](auto& kernel) { kernel.servers.erase(kWeb); });
  }
  SECTION("another scheduler") {
    f.on_kernel([](auto& kernel) { kernel.servers[kWeb].settings.scheduler = "lc"; });
  }
  SECTION("a destination added") {
    f.on_kernel([](auto& kernel) {
      kernel.servers[kWeb].destinations.push_back({.endpoint = {ip("203.0.113.1"), 1}});
    });
  }
  SECTION("an address taken away") {
    drift = "address";
    f.on_kernel([](auto& kernel) { kernel.addresses.clear(); });
  }
  f.until([&] { return kernel_text(f.look()) == right; });
  CHECK(f.observer.drifts == std::vector<std::string>{drift});
  CHECK(f.look().violations.empty());
}

TEST_CASE("addresses that somebody else took are put back as soon as that is heard of") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {}));
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.addresses.clear(); });
  f.sync.addresses_lost();
  f.until([&] { return f.look().addresses.contains(ip("10.96.0.1")); });
  CHECK(f.observer.drifts == std::vector<std::string>{"address"});
}

TEST_CASE("a table that somebody else removed is put back whole") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  const std::string right = kernel_text(f.look());
  int error = 0;
  SECTION("at once") {}
  SECTION("and again, until the kernel takes it") { error = EBUSY; }
  f.on_kernel([error](auto& kernel) {
    kernel.elements.clear();
    kernel.table_present = false;
    kernel.install_error = error;
  });
  f.sync.table_lost();
  if (error != 0) {
    f.until([&] { return f.observer.failures.size() >= 2; });
    CHECK(f.observer.failures[0].command == "NEWTABLE");
    CHECK(f.sync.waiting_since());
    f.on_kernel([](auto& kernel) { kernel.install_error = 0; });
  }
  f.until([&] { return kernel_text(f.look()) == right; });
  f.until_idle();
  CHECK(f.observer.drifts == std::vector<std::string>{"table"});
}

TEST_CASE("a kernel that cannot be read or written at first is tried until it can") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  std::string text;
  SECTION("reading") {
    f.on_kernel([](auto& kernel) { kernel.observe_error = ENOBUFS; });
    text = "reading virtual servers (GET_SERVICE): No buffer space available";
  }
  SECTION("the table") {
    f.on_kernel([](auto& kernel) { kernel.install_error = EPERM; });
    text = "installing the nftables table kube-ipvs: Operation not permitted";
  }
  f.sync.sources_ready();
  f.until([&] { return f.observer.waits.size() == 3; });
  CHECK(f.observer.waits[0] == text);
  CHECK(f.look().servers.empty());
  CHECK_FALSE(f.sync.complete());
  f.on_kernel([](auto& kernel) { kernel.observe_error = kernel.install_error = 0; });
  f.settle();
  CHECK(f.look().servers.size() == 1);
  CHECK(f.look().violations.empty());
}

TEST_CASE("a start adopts what is there, and takes away what nobody wants any more") {
  Fixture f;
  const ServicePlan old = plan_of("10.96.0.9", {"10.244.0.9"});
  f.on_kernel([&](auto& kernel) {
    kernel.table_present = true;
    kernel.servers[old.servers[0].settings.key] = old.servers[0];
    kernel.elements = {old.elements.begin(), old.elements.end()};
    kernel.addresses = {ip("10.96.0.9")};
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  Fixture fresh;
  fresh.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  fresh.settle();
  CHECK(kernel_text(f.look()) == kernel_text(fresh.look()));
  CHECK(f.look().violations.empty());
}

TEST_CASE("a foreign virtual server is reported as a conflict, and the Service goes without") {
  Fixture f;
  f.on_kernel(
      [](auto& kernel) { kernel.servers[kWeb] = {.settings = {.key = kWeb, .scheduler = "wlc"}}; });
  SECTION("there before us") {
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
    f.settle();
  }
  SECTION("there after us") {
    f.on_kernel([](auto& kernel) { kernel.servers.clear(); });
    f.settle();
    f.on_kernel([](auto& kernel) {
      kernel.servers[kWeb] = {.settings = {.key = kWeb, .scheduler = "wlc"}};
    });
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
    f.until([&] { return !f.observer.conflicts.empty(); });
    f.until_idle();
  }
  REQUIRE_FALSE(f.observer.conflicts.empty());
  CHECK(f.observer.conflicts[0].holder.empty());
  f.until([&] { return f.look().addresses.empty(); });
  CHECK(server_text(f.look().servers.at(kWeb)) == "TCP 10.96.0.1:80 wlc\n");
}

TEST_CASE("where node ports are served is read again when it is said to have changed") {
  Fixture f;
  f.node_addresses = ips({"192.168.1.1"});
  f.settle();
  CHECK(kernel_text(f.look()) == "node-addresses-4 192.168.1.1\n");
  f.node_addresses = ips({"192.168.1.2"});
  f.sync.node_addresses_changed();
  f.until([&] { return kernel_text(f.look()) == "node-addresses-4 192.168.1.2\n"; });
}

TEST_CASE("from one pass to the next at least --ipvs-min-sync-period goes by") {
  SyncOptions options = quick();
  options.min_gap = 5ms;
  Fixture f(options);
  f.settle();
  std::vector<std::chrono::steady_clock::time_point> times;
  for (int i = 0; i < 3; ++i) {
    f.observer.when_passed = [&] { times.push_back(std::chrono::steady_clock::now()); };
    f.want("a/web", plan_of("10.96.0." + std::to_string(i + 1), {}));
    f.until([&] { return times.size() == static_cast<std::size_t>(i + 1); });
  }
  CHECK(times[1] - times[0] >= 5ms);
  CHECK(times[2] - times[1] >= 5ms);
}

TEST_CASE("cancelled wherever it is, the loop ends") {
  for (int steps = 0; steps < 25; ++steps) {
    INFO("after " << steps << " steps");
    Fixture f;
    if (steps % 2 == 1) f.sync.sources_ready();
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
    for (int i = 0; i < steps / 2; ++i) f.run_what_is_ready();
    f.stop();
    CHECK(f.was_cancelled());
  }
}

TEST_CASE("cancelled while the kernel keeps refusing, the loop ends") {
  Fixture f;
  f.on_kernel([](auto& kernel) { kernel.observe_error = EIO; });
  f.sync.sources_ready();
  f.until([&] { return f.observer.waits.size() == 2; });
  f.stop();
  CHECK(f.was_cancelled());
}
