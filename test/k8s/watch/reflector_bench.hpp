// SPDX-License-Identifier: Apache-2.0
//
// Fixture for tests of reflectors and of the cluster source: a fake API server, a client, a sink
// that checks the protocol of k8s/sink.hpp, and waits that take no time but are recorded.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "k8s/watch/reflector.hpp"
#include "test/fake/api_server.hpp"

namespace k8s::test {

namespace asio = boost::asio;
using fake::ApiServer;
using std::chrono::milliseconds;
constexpr const char* kServices = "/api/v1/services";

inline std::string service_json(const std::string& name, const std::string& port = "80") {
  return R"({"kind":"Service","apiVersion":"v1","metadata":{"namespace":"default","name":")" +
         name +
         R"("},"spec":{"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"type":"ClusterIP",)" +
         R"("ports":[{"protocol":"TCP","port":)" + port + R"(,"targetPort":8080}]}})";
}

// Applies the calls as the protocol of k8s/sink.hpp prescribes, and checks that they follow it.
template <typename T>
class RecordingSink final : public k8s::Sink<T> {
 public:
  std::map<std::string, std::string> versions;  // resource version of each object
  std::vector<std::string> kept;
  int lists = 0;

  void list_started() override {
    listing_ = true;
    repeated_.clear();
  }
  void upsert(T&& object) override {
    REQUIRE((listing_ || lists > 0));
    versions[object.meta.key.text()] = object.meta.resource_version;
    repeated_.insert(object.meta.key.text());
  }
  void remove(const ObjectKey& key) override {
    REQUIRE((listing_ || lists > 0));
    versions.erase(key.text());
  }
  void keep(const ObjectKey& key) override {
    kept.push_back(key.text());
    repeated_.insert(key.text());
  }
  void list_finished() override {
    REQUIRE(listing_);
    listing_ = false;
    ++lists;
    std::erase_if(versions, [&](const auto& entry) { return !repeated_.contains(entry.first); });
  }

 private:
  bool listing_ = false;
  std::set<std::string> repeated_;
};

// A server, a reflector of Services, and waits that take no time but are recorded.
struct Bench {
  explicit Bench(ApiServer::Options server_options = {}, std::size_t max_event = 16u << 20)
      : server(io.get_executor(), std::move(server_options)),
        client(io.get_executor(), server.access()),
        max_event_bytes(max_event) {}
  ~Bench() { stop(); }

  k8s::ReflectorOptions options() {
    k8s::ReflectorOptions result;
    result.page_limit = 3;
    result.watch_list = watch_list;
    result.max_event_bytes = max_event_bytes;
    result.watch_idle = watch_idle;
    result.list_idle = list_idle;
    result.random = [this] { return random; };
    result.now = [this] { return std::chrono::steady_clock::time_point() + now; };
    result.pause = [this](milliseconds length) {
      pauses.push_back(length);
      now += length;
      if (on_pause) on_pause();
      return milliseconds(0);
    };
    return result;
  }

  void start() {
    k8s::ReflectorOptions service_options = options();
    service_options.kind = "Service";
    service_options.paths = {kServices};
    service_options.label_selector = label_selector;
    reflector = std::make_unique<k8s::Reflector<Service>>(
        io.get_executor(), client, service_options, sink,
        [this](const k8s::SourceFault& fault) { faults.push_back(fault); });
    spawn(reflector->run());
  }

  void spawn(asio::awaitable<void> work) {
    running = true;
    asio::co_spawn(io, std::move(work),
                   asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr thrown) {
                     CHECK_FALSE(thrown);
                     running = false;
                   }));
  }

  void stop() {
    cancel.emit(asio::cancellation_type::terminal);
    while (running && io.run_one_for(std::chrono::seconds(10)) > 0) continue;
    CHECK_FALSE(running);
  }

  template <typename Until>
  void run_until(Until reached) {
    while (!reached()) {
      if (io.run_one_for(std::chrono::seconds(10)) == 0) {
        FAIL("nothing happens any more; last fault: " << (faults.empty() ? "none"
                                                                         : faults.back().what));
      }
    }
  }
  bool in_step() const {
    return sink.lists > 0 && sink.versions == server.store_versions(kServices);
  }
  void run_until_watching() {
    run_until([this] { return in_step() && server.open_watches() == 1; });
  }

  struct Server : ApiServer {
    using ApiServer::ApiServer;
    std::map<std::string, std::string> store_versions(const std::string& path) const {
      return const_cast<Server*>(this)->store().versions(path);
    }
  };

  asio::io_context io;
  Server server;
  k8s::ApiClient client;
  std::size_t max_event_bytes;
  milliseconds watch_idle{150'000};
  milliseconds list_idle{30'000};
  std::string label_selector;
  bool watch_list = false;
  double random = 0;
  std::chrono::steady_clock::duration now{};
  std::vector<milliseconds> pauses;
  std::function<void()> on_pause;
  RecordingSink<Service> sink;
  std::vector<k8s::SourceFault> faults;
  std::unique_ptr<k8s::Reflector<Service>> reflector;
  asio::cancellation_signal cancel;
  bool running = false;
};

inline void fill(ApiServer& server, int count) {
  for (int i = 0; i < count; ++i) server.put(kServices, service_json("s" + std::to_string(i)));
}

}  // namespace k8s::test
