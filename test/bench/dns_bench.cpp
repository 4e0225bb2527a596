// SPDX-License-Identifier: Apache-2.0
//
// Answers of the DNS server: what one costs without and with sockets, and how long a client waits.
//
// 10,000 Services, and a headless one with 100 endpoints. Rates are answers in a second of the
// server's CPU time: with sockets it is a thread of its own, and includes what the kernel does in its
// system calls.
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "agent/dns/server.hpp"
#include "test/agent/dns/messages.hpp"

namespace {

namespace asio = boost::asio;
namespace dns = agent::dns;
using namespace agent::dns::test;
using asio::ip::udp;

constexpr int kServices = 10'000;
const dns::Name kZone = dns::name_of("cluster.local").value();

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::map<std::string, std::vector<dns::Record>> all_records() {
  std::map<std::string, std::vector<dns::Record>> all;
  for (int i = 0; i < kServices; ++i) {
    k8s::Service service;
    service.meta.key = {.ns = "default", .name = "web-" + std::to_string(i)};
    service.cluster_ips = {asio::ip::address_v4(0x0A600001U + static_cast<unsigned>(i))};
    service.ports = {{.name = "http", .port = 80}};
    all[service.meta.key.text()] = dns::records_of(service, {}, kZone);
  }
  k8s::Service pets;
  pets.meta.key = {.ns = "default", .name = "pets"};
  pets.headless = true;
  std::vector<agent::NamedEndpoint> endpoints;
  for (unsigned i = 1; i <= 100; ++i) {
    endpoints.push_back({.address = asio::ip::address_v4(0x0AF40000U + i),
                         .ready = true,
                         .hostname = {},
                         .ports = {}});
  }
  all["default/pets"] = dns::records_of(pets, endpoints, kZone);
  return all;
}

// What is asked, in turn.
std::vector<std::string> queries(const std::string& kind) {
  std::vector<std::string> all;
  for (int i = 0; i < 1000; ++i) {
    const std::string service = "web-" + std::to_string(i * 7 % kServices);
    Asked asked{.id = static_cast<unsigned>(i), .udp_size = 1232};
    asked.name = service + ".default.svc.cluster.local";
    if (kind == "nxdomain") asked.name = "www.example.com." + asked.name;
    if (kind == "headless") asked.name = "pets.default.svc.cluster.local";
    if (kind == "aaaa") asked.type = 28;
    all.push_back(query(asked));
  }
  return all;
}

void answer(benchmark::State& state, const std::string& kind) {
  dns::Zone zone(kZone, 1);
  for (const auto& [service, records] : all_records()) zone.set(service, records);
  dns::Responder responder(zone);
  responder.set_ready();
  const auto asked = queries(kind);
  std::string out;
  dns::Onward onward;
  std::size_t at = 0;
  for (auto turn : state) {
    responder.answer(
        bytes_of(asked[at++ % asked.size()]), dns::Transport::kUdp, [] { return false; }, out,
        onward);
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes"] = static_cast<double>(out.size());
}

// The server, in a thread of its own.
class Running {
 public:
  Running() : records_(all_records()), server_(context_.get_executor(), options()) {
    for (const auto& [service, records] : records_) server_.mark(service);
    server_.refresh();
    server_.set_addresses({{asio::ip::address_v4::loopback(), 0}});
    asio::co_spawn(context_, server_.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [](std::exception_ptr) {}));
    context_.poll();
    place_ = server_.places().at(0);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Running() {
    asio::post(context_, [this] { stop_.emit(asio::cancellation_type::terminal); });
    thread_.join();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  udp::endpoint place() const { return place_; }
  double cpu_seconds() {
    std::promise<double> seconds;
    asio::post(context_, [&seconds] { seconds.set_value(thread_seconds()); });
    return seconds.get_future().get();
  }

 private:
  dns::Server::Options options() {
    dns::Server::Options all;
    all.zone = kZone;
    all.records_of = [this](const std::string& owner) { return records_[owner]; };
    all.may_ask = [](const asio::ip::address&) { return false; };
    return all;
  }
  std::map<std::string, std::vector<dns::Record>> records_;
  asio::io_context context_{1};
  asio::cancellation_signal stop_;
  dns::Server server_;
  udp::endpoint place_;
  std::thread thread_;
};

// `depth` queries are under way.
void serve(benchmark::State& state, const std::string& kind) {
  const auto depth = static_cast<std::size_t>(state.range(0));
  Running server;
  asio::io_context context;
  udp::socket client(context, udp::v4());
  client.set_option(asio::socket_base::receive_buffer_size(4 << 20));
  client.connect(server.place());
  const auto asked = queries(kind);
  std::array<char, 2048> buffer{};
  std::vector<double> waits;
  std::size_t at = 0;
  const double before = server.cpu_seconds();
  for (auto turn : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < depth; ++i) {
      client.send(asio::buffer(asked[at++ % asked.size()]));
    }
    for (std::size_t i = 0; i < depth; ++i) client.receive(asio::buffer(buffer));
    waits.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  const double used = server.cpu_seconds() - before;
  const double answers = static_cast<double>(state.iterations()) * static_cast<double>(depth);
  std::sort(waits.begin(), waits.end());
  state.counters["answers_per_cpu_second"] = answers / used;
  state.counters["us_p50"] = waits[waits.size() / 2] * 1e6;
  state.counters["us_p99"] = waits[waits.size() * 99 / 100] * 1e6;
}

}  // namespace

BENCHMARK_CAPTURE(answer, dns_a, "a");
BENCHMARK_CAPTURE(answer, dns_nodata, "aaaa");
BENCHMARK_CAPTURE(answer, dns_nxdomain, "nxdomain");
BENCHMARK_CAPTURE(answer, dns_headless_of_100, "headless");
BENCHMARK_CAPTURE(serve, dns_udp_a, "a")->Arg(1)->Arg(32);
BENCHMARK_CAPTURE(serve, dns_udp_nxdomain, "nxdomain")->Arg(32);
BENCHMARK_CAPTURE(serve, dns_udp_headless_of_100, "headless")->Arg(32);
