// SPDX-License-Identifier: Apache-2.0
#include "agent/report/service_manager.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "test/agent/app_fixture.hpp"
#include "test/agent/report/notify_receiver.hpp"
#include "test/fake/failing_kernel.hpp"

namespace {

using namespace agent::test;
using namespace std::chrono_literals;
using agent::AgentStatus;
using agent::ServiceManager;
using Messages = std::vector<std::string>;

struct TestTime {
  static inline ServiceManager::Clock::time_point now{};
  static ServiceManager::Clock::time_point read() { return now; }
};

class Fixture {
 public:
  explicit Fixture(std::optional<std::chrono::microseconds> watchdog = {})
      : manager(context.get_executor(), {.socket = receiver.address, .watchdog = watchdog},
                {.is_ready = [this] { return is_ready; },
                 .is_alive = [this] { return is_alive; },
                 .status = [this] { return status; },
                 .now = TestTime::read}) {
    TestTime::now = ServiceManager::Clock::time_point(1000h);
  }
  // What is said at the end of a pass, so much later.
  Messages after(std::chrono::milliseconds time) {
    TestTime::now += time;
    manager.pass_ended();
    return receiver.take();
  }

  bool is_ready = false, is_alive = true;
  AgentStatus status{.awaited = "the first list of Pods"};
  NotifyReceiver receiver;
  boost::asio::io_context context;
  ServiceManager manager;
};

// The whole agent, started by a service manager.
class ManagedApp : public AppFixture {
 public:
  ManagedApp() : AppFixture(std::make_unique<fake::FailingKernel>()) {
    notify.socket = receiver.address;
    sync_options = agent::SyncOptions{.audit_interval = 1h,
                                      .count_interval = 1ms,
                                      .retry_first = 1ms,
                                      .retry_limit = 4ms,
                                      .object_retry_limit = 10ms};
  }
  fake::FailingKernel& failing() { return static_cast<fake::FailingKernel&>(kernel); }
  void until_said(const std::string& what) {
    until("it says " + what, [&] {
      for (const std::string& message : receiver.take()) said += message;
      return said.find(what) != std::string::npos;
    });
  }
  bool has_said(const std::string& what) const { return said.find(what) != std::string::npos; }

  NotifyReceiver receiver;
  std::string said;
};

}  // namespace

TEST_CASE("READY=1 is said once, with the status of that moment (17.6)") {
  Fixture f;
  CHECK(f.after(0s) == Messages{"STATUS=waiting for the first list of Pods\n"});
  CHECK(f.after(2s).empty());  // nothing has changed
  f.is_ready = true;
  f.status = {.awaited = "", .services = 3, .servers = 5, .destinations = 12};
  const std::string serving = "STATUS=serving 3 Services: 5 virtual servers with 12 endpoints\n";
  CHECK(f.after(1ms) == Messages{"READY=1\n" + serving});
  CHECK(f.after(2s).empty());
}

TEST_CASE("the status follows at most once a second, and says what is not as asked (17.6)") {
  Fixture f;
  f.is_ready = true;
  f.status = {.awaited = "", .services = 1, .servers = 1, .destinations = 1};
  f.after(0s);
  f.status.destinations = 2;
  CHECK(f.after(999ms).empty());
  CHECK(f.after(1ms) ==
        Messages{"STATUS=serving 1 Services: 1 virtual servers with 2 endpoints\n"});
  f.status.reasons = {"the kernel has refused for 60 s: NEW_DEST"};
  f.status.conditions = 3;
  f.status.condition = "Service a/b: 192.0.2.1 is a gateway";
  CHECK(f.after(1s) ==
        Messages{"STATUS=serving 1 Services: 1 virtual servers with 2 endpoints; not healthy: the "
                 "kernel has refused for 60 s: NEW_DEST; not as asked: Service a/b: 192.0.2.1 is a "
                 "gateway, and 2 more\n"});
}

TEST_CASE("the watchdog is fed at half of its time, by passes, while the agent is alive (17.6)") {
  Fixture f(std::chrono::microseconds(10s));
  CHECK(f.after(0s).front() == "WATCHDOG=1\n");
  CHECK(f.after(4999ms).empty());
  CHECK(f.after(1ms) == Messages{"WATCHDOG=1\n"});
  f.is_alive = false;
  CHECK(f.after(10s).empty());
  CHECK(f.after(10s).empty());
  f.is_alive = true;
  CHECK(f.after(1ms) == Messages{"WATCHDOG=1\n"});
}

TEST_CASE("the watchdog is fed without passes, while the API server is away (17.6)") {
  Fixture f(std::chrono::microseconds(2ms));
  boost::asio::co_spawn(f.context, f.manager.run(), boost::asio::detached);
  int fed = 0;
  while (fed < 5) {
    TestTime::now += 1ms;
    f.context.run_one_for(10s);
    for (const std::string& message : f.receiver.take()) fed += message == "WATCHDOG=1\n";
  }
}

TEST_CASE("what the manager did not take is said again (17.6)") {
  Fixture f;
  f.is_ready = true;
  f.status.awaited.clear();
  agent::NotifySocket other(f.receiver.address);
  while (other.send("X=1\n")) continue;
  TestTime::now += 1s;
  f.manager.pass_ended();  // into a full queue
  f.receiver.take();
  CHECK(f.after(1s).front().starts_with("READY=1\nSTATUS=serving 0 Services"));
}

TEST_CASE("after STOPPING=1 nothing more is said (17.6)") {
  Fixture f(std::chrono::microseconds(10s));
  f.manager.stopping();
  CHECK(f.receiver.take() == Messages{"STOPPING=1\nSTATUS=stopping; what is programmed stays\n"});
  f.is_ready = true;
  CHECK(f.after(10s).empty());
}

TEST_CASE_METHOD(ManagedApp,
                 "the node is not ready before the kernel equals the first lists (17.6)") {
  start();
  const std::string awaiting = get("/readyz", "healthz");
  CHECK(awaiting.starts_with("HTTP/1.1 503"));
  CHECK(awaiting.find("waiting for the first list of Services, Pods, EndpointSlices, Nodes") !=
        std::string::npos);
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 200"));
  until_said("STATUS=waiting for the first list of Services, Pods, EndpointSlices, Nodes\n");
  source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
  source->list<k8s::Pod>(source->sinks.pods, {make_pod("web-1", {"10.244.0.1"})});
  source->list<k8s::EndpointSlice>(source->sinks.slices, {});
  CHECK(get("/readyz", "healthz").find("waiting for the first list of Services\"") !=
        std::string::npos);
  CHECK_FALSE(has_said("READY=1"));
  source->list<k8s::Service>(source->sinks.services, {make_service("web", {"10.96.0.1"})});
  until_said("READY=1\nSTATUS=serving 1 Services: 1 virtual servers with 1 endpoints\n");
  CHECK(get("/readyz", "healthz").starts_with("HTTP/1.1 200"));
  CHECK(get("/readyz", "metrics").starts_with("HTTP/1.1 200"));
  CHECK(stop() == 0);
  until_said("STOPPING=1");
}

TEST_CASE_METHOD(ManagedApp,
                 "what the node refuses holds it back, and readiness then stays (17.6)") {
  failing().break_call({.call = "change_servers", .error = EPERM, .victims = {ip("10.96.0.1")}});
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  const std::string refused = get("/readyz", "healthz");
  CHECK(refused.starts_with("HTTP/1.1 503"));
  CHECK(refused.find("waiting for what the kernel refuses: NEW_SERVICE TCP 10.96.0.1:80") !=
        std::string::npos);
  CHECK_FALSE(has_said("READY=1"));
  failing().mend();
  until_said("READY=1");
  CHECK(get("/readyz", "healthz").starts_with("HTTP/1.1 200"));
  // For less than a minute that is no matter of health, and readiness is not taken back.
  failing().break_call({.call = "change_servers", .error = EPERM, .victims = {ip("10.96.0.1")}});
  source->sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  until("it is refused", [&] { return log.count("Operation not permitted") > 1; });
  CHECK(get("/readyz", "healthz").starts_with("HTTP/1.1 200"));
  failing().mend();
}

TEST_CASE_METHOD(ManagedApp, "an object that is refused for good holds no node back (17.6)") {
  failing().break_call({.call = "change_servers", .error = EINVAL, .victims = {ip("10.96.0.66")}});
  start_with({make_service("bad", {"10.96.0.66"}), make_service("web", {"10.96.0.1"})},
             {make_pod("web-1", {"10.244.0.1"})});
  until_said("READY=1");
  CHECK(has_said("not as asked: Service default/bad: NEW_SERVICE TCP 10.96.0.66:80"));
  CHECK(get("/readyz", "healthz").starts_with("HTTP/1.1 200"));
  failing().mend();
}

TEST_CASE_METHOD(ManagedApp, "a kernel that cannot be read holds the node back (17.6)") {
  failing().break_call({.call = "observe", .error = ENOBUFS});
  start();
  source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
  source->list<k8s::Pod>(source->sinks.pods, {});
  source->list<k8s::EndpointSlice>(source->sinks.slices, {});
  source->list<k8s::Service>(source->sinks.services, {make_service("web", {"10.96.0.1"})});
  until("it tries again", [&] { return log.count("trying again") > 0; });
  CHECK(get("/readyz", "healthz").find("waiting for the kernel to be read") != std::string::npos);
  failing().mend();
  until_said("READY=1");
}
