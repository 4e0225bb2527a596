// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/node_watch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <exception>
#include <stdexcept>

#include "test/agent/log_lines.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/sync/sync_fixture.hpp"

namespace agent {
namespace {

using namespace agent::test;

struct HostKernel : fake::FakeKernel {
  bool refuses = false;
  ipvs::Result<std::vector<ipvs::LocalAddress>> read_local_addresses() override {
    if (refuses) return ipvs::KernelError{ENOBUFS, "reading addresses (RTM_GETADDR)"};
    return FakeKernel::read_local_addresses();
  }
  ipvs::Result<std::vector<std::unique_ptr<ipvs::KernelMonitor>>> open_monitors() override {
    if (refuses) return ipvs::KernelError{EPERM, "opening a netlink socket"};
    return FakeKernel::open_monitors();
  }
};

class NodeWatchFixture : private ClusterObserver {
 public:
  NodeWatchFixture() {
    config.node_name = kThisNode;
    kernel.local_addresses = {{.address = ip("192.168.1.1"), .interface_name = "eth0"}};
  }
  ~NodeWatchFixture() { tasks.stop(); }
  NodeWatchFixture(const NodeWatchFixture&) = delete;
  NodeWatchFixture& operator=(const NodeWatchFixture&) = delete;

  void run(asio::awaitable<void> work) {
    bool done = false;
    std::exception_ptr failed;
    asio::co_spawn(context, std::move(work), [&](std::exception_ptr error) {
      failed = error;
      done = true;
    });
    until([&] { return done; });
    if (failed) std::rethrow_exception(failed);
  }
  template <typename Condition>
  void until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      if (context.stopped()) context.restart();
      context.run_one_for(10ms);
      if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("not within 30 s");
    }
  }
  std::vector<ipvs::Address> node_ports() const { return cluster.node_port_addresses(); }

  const CapturedLog log;
  asio::io_context context;
  config::Config config;
  HostKernel kernel;
  KernelThread thread;
  ClusterState cluster{config, *this};
  RecordingObserver observer;
  SyncLoop sync{context.get_executor(), kernel, thread, cluster, observer, quick()};
  ForwardGuard forwarding{context.get_executor(),
                          kernel,
                          thread,
                          {.warn = [](const std::string&) {}, .note = [](const std::string&) {}},
                          {}};
  TaskGroup tasks{context.get_executor(), [](std::exception_ptr) {}};
  NodeWatch watch{context.get_executor(),
                  kernel,
                  thread,
                  cluster,
                  sync,
                  forwarding,
                  tasks,
                  {.retry_first = 1ms, .retry_limit = 4ms}};

 private:
  void on_dirty(const ipvs::Owner&) override {}
};

}  // namespace

TEST_CASE_METHOD(NodeWatchFixture,
                 "the node's addresses are read, and read again when they change") {
  run(watch.read());
  CHECK(node_ports() == kernel_ips({"192.168.1.1"}));
  run(watch.run());
  kernel.local_addresses.push_back({.address = ip("192.168.1.2"), .interface_name = "eth0"});
  kernel.notify({.node_addresses = true});
  until([&] { return node_ports().size() == 2; });
  CHECK(node_ports() == kernel_ips({"192.168.1.1", "192.168.1.2"}));
}

TEST_CASE_METHOD(NodeWatchFixture, "addresses that cannot be read stay as they were") {
  run(watch.read());
  kernel.refuses = true;
  run(watch.read());
  CHECK(log.count(R"(err="reading addresses (RTM_GETADDR))") == 1);
  CHECK(node_ports() == kernel_ips({"192.168.1.1"}));
}

TEST_CASE_METHOD(NodeWatchFixture,
                 "addresses that could not be read are read again without a notification (D)") {
  kernel.refuses = true;
  run(watch.read());
  CHECK_FALSE(watch.has_read());
  kernel.refuses = false;
  run(watch.run());
  until([&] { return watch.has_read(); });
  CHECK(node_ports() == kernel_ips({"192.168.1.1"}));
}

TEST_CASE_METHOD(NodeWatchFixture, "an error that lasts is reported once (D)") {
  kernel.refuses = true;
  for (int i = 0; i < 5; ++i) run(watch.read());
  CHECK(log.count(R"(err="reading addresses (RTM_GETADDR))") == 1);
  kernel.refuses = false;
  run(watch.read());
  kernel.refuses = true;
  run(watch.read());
  CHECK(log.count(R"(err="reading addresses (RTM_GETADDR))") == 2);
}

TEST_CASE_METHOD(NodeWatchFixture,
                 "notifications that the kernel refuses are asked for again, and what nobody "
                 "reported is read then (D)") {
  run(watch.read());
  kernel.refuses = true;
  bool follows = false;
  asio::co_spawn(context, watch.run(), [&](std::exception_ptr) { follows = true; });
  until([&] { return log.count("opening a netlink socket") > 0; });
  CHECK_FALSE(follows);
  kernel.local_addresses.push_back({.address = ip("192.168.1.2"), .interface_name = "eth0"});
  kernel.refuses = false;
  until([&] { return follows; });
  CHECK(node_ports() == kernel_ips({"192.168.1.1", "192.168.1.2"}));
}

}  // namespace agent
