// SPDX-License-Identifier: Apache-2.0
//
// The whole agent with a fake kernel and a fake source: a test delivers objects and watches what the
// agent does and says. Nothing is waited for by time: the test runs the io_context until what it
// expects has happened.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent/app.hpp"
#include "test/agent/log_lines.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/report/http_talk.hpp"
#include "test/fake/fake_kernel.hpp"

namespace agent::test {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// Delivers nothing by itself: the test calls its sinks.
class FakeSource : public k8s::Source {
 public:
  FakeSource(k8s::Sinks sinks_in, k8s::FaultHandler on_fault_in)
      : sinks(sinks_in), on_fault(std::move(on_fault_in)) {}

  asio::awaitable<void> run() override {
    is_running = true;
    asio::steady_timer never(co_await asio::this_coro::executor,
                             asio::steady_timer::time_point::max());
    co_await never.async_wait(asio::use_awaitable);
  }

  template <typename T>
  void list(k8s::Sink<T>* sink, const std::vector<T>& objects) {
    sink->list_started();
    for (const T& object : objects) sink->upsert(object);
    sink->list_finished();
  }

  std::vector<k8s::KindCounters> counters() const override { return kinds; }
  std::vector<k8s::Address> server_addresses() const override { return servers; }
  void on_server_addresses(const std::function<void()>& changed) override { on_servers = changed; }
  bool watch_other_nodes(const std::function<void(const std::string& why)>& unavailable) override {
    on_no_other_nodes = unavailable;
    return has_other_nodes;
  }

  k8s::Sinks sinks;
  k8s::FaultHandler on_fault;
  std::vector<k8s::KindCounters> kinds;
  std::vector<k8s::Address> servers;
  std::function<void()> on_servers;
  bool has_other_nodes = false;  // as an API server, by a sink of their own
  std::function<void(const std::string&)> on_no_other_nodes;
  bool is_running = false;
};

class AppFixture {
 public:
  AppFixture() : AppFixture(std::make_unique<fake::FakeKernel>()) {}
  explicit AppFixture(std::unique_ptr<fake::FakeKernel> kernel_in)
      : kernel(*kernel_in), owned_kernel_(std::move(kernel_in)) {
    config.node_name = kThisNode;
    config.manifests = "/nonexistent";  // no API server
    config.metrics_bind = config::HostPort{asio::ip::address_v4::loopback(), 0};
    config.healthz_bind = config::HostPort{asio::ip::address_v4::loopback(), 0};
    config.api_socket = "off";
    kernel.local_addresses = {
        {.address = ip("192.168.1.1"), .interface_name = "eth0", .prefix_length = 24}};
  }
  ~AppFixture() { end(); }
  AppFixture(const AppFixture&) = delete;
  AppFixture& operator=(const AppFixture&) = delete;

  // Returns when the source runs, and has delivered nothing.
  void start() {
    app_ = std::make_unique<App>(
        context_, config, kernel, std::nullopt,
        [this](const k8s::Sinks& sinks, const k8s::FaultHandler& on_fault) {
          auto made = std::make_unique<FakeSource>(sinks, on_fault);
          made->servers = api_servers;
          source = made.get();
          return made;
        },
        sync_options, notify);
    if (before_start) before_start(*app_);
    app_->start();
    until("the source runs", [this] { return source && source->is_running; });
  }

  // The first lists of all kinds; the table is complete when it returns.
  void start_with(const std::vector<k8s::Service>& services, const std::vector<k8s::Pod>& pods) {
    start();
    source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
    source->list(source->sinks.pods, pods);
    source->list<k8s::EndpointSlice>(source->sinks.slices, {});
    source->list(source->sinks.services, services);
    until("the table is complete", [this] { return log.count("Table complete") > 0; });
  }

  // Ends the agent by a SIGTERM to this process, as an operator would. Its exit code.
  int stop() {
    std::raise(SIGTERM);
    until("it has ended", [this] { return app_->exit_code().has_value(); });
    const int code = *app_->exit_code();
    app_.reset();
    return code;
  }

  // stop(), unless it was called. A fixture whose members the agent uses calls it first of all.
  void end() {
    if (app_) stop();
  }

  template <typename Condition>
  void until(const std::string& what, Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      if (context_.stopped()) context_.restart();
      context_.run_one_for(10ms);
      if (std::chrono::steady_clock::now() > limit) {
        throw std::runtime_error("not within 30 s: " + what + "\n" + log.text());
      }
    }
  }

  // The whole answer to a GET, with its head.
  std::string get(const std::string& path, const std::string& server = "metrics") {
    until("the server listens", [&] { return app_->port_of(server) != 0; });
    return ask({asio::ip::address_v4::loopback(), app_->port_of(server)},
               "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  // "": nothing listens there.
  std::string ask(
      const asio::ip::tcp::endpoint& server,
      const std::string& request = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
    std::string answer;
    bool done = false;
    asio::co_spawn(context_, talk(server, request, answer),
                   [&](std::exception_ptr) { done = true; });
    until("the server answers", [&] { return done; });
    return answer;
  }
  std::uint16_t port_of(const std::string& server) const { return app_->port_of(server); }

  // The value of a series of /metrics, or of another page, "" where there is none.
  std::string metric(const std::string& series, const std::string& path = "/metrics") {
    const std::string page = get(path);
    const std::size_t place = page.find("\n" + series + " ");
    if (place == std::string::npos) return {};
    const std::size_t begin = place + series.size() + 2;
    return page.substr(begin, page.find_first_of("\r\n", begin) - begin);
  }

  void until_programmed(int destinations) {
    until(std::to_string(destinations) + " destinations are in the kernel", [&] {
      return metric("kube_ipvs_programmed_destinations") == std::to_string(destinations);
    });
  }

  config::Config config;
  // A test may read and change it while the agent has nothing to do.
  fake::FakeKernel& kernel;
  FakeSource* source = nullptr;
  std::vector<k8s::Address> api_servers;  // set before start()
  const CapturedLog log;
  NotifySettings notify;
  std::optional<SyncOptions> sync_options;  // unset: those that `config` asks for
  std::function<void(App&)> before_start;

 protected:
  asio::io_context context_{1};

 private:
  std::unique_ptr<fake::FakeKernel> owned_kernel_;
  std::unique_ptr<App> app_;
};

}  // namespace agent::test
