// SPDX-License-Identifier: Apache-2.0
//
// The parts of agent/report beside the cluster state and a sync loop that does not run.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>

#include "agent/cluster/cluster_state.hpp"
#include "agent/report/conditions.hpp"
#include "agent/report/node_health.hpp"
#include "agent/report/service_reporter.hpp"
#include "agent/report/sync_reporter.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kube_proxy_guard.hpp"
#include "test/agent/log_lines.hpp"
#include "test/agent/objects.hpp"
#include "test/fake/fake_kernel.hpp"

namespace agent::test {

class ReportFixture : private ClusterObserver {
 public:
  // The value of a series of the agent's own metrics, "" where there is none.
  std::string metric(const std::string& series) const {
    const std::string page = "\n" + metrics.text();
    const std::size_t place = page.find("\n" + series + " ");
    if (place == std::string::npos) return {};
    const std::size_t begin = place + series.size() + 2;
    return page.substr(begin, page.find('\n', begin) - begin);
  }

  // A plan with one virtual server that has so many endpoints.
  static PlannedService planned(int endpoints) {
    ipvs::Server server{.settings = {.key = {ip("10.96.0.1"), 80}, .scheduler = "rr"}};
    for (int i = 1; i <= endpoints; ++i) {
      server.destinations.push_back({.endpoint = {ip("10.244.0." + std::to_string(i)), 8080}});
    }
    PlannedService planned;
    planned.plan.servers = {server};
    return planned;
  }

  const CapturedLog log;
  boost::asio::io_context context;
  config::Config config = make_config();
  fake::FakeKernel kernel;
  KernelThread thread;
  Metrics metrics;
  ClusterState cluster{config, *this};
  HealthCheckPorts health_checks{
      context.get_executor(),
      {.proxy_healthy = [] { return true; },
       .warn = [](const k8s::ObjectKey&, std::uint16_t, const std::string&) {},
       .served = [](const k8s::ObjectKey&, std::uint16_t) {}}};
  ServiceReporter services{context.get_executor(), nullptr, kThisNode, cluster, metrics};
  SyncReporter reporter{cluster, health_checks, services, metrics, 0};
  SyncLoop sync{context.get_executor(), kernel, thread, cluster, reporter, {}};
  NodeHealth health{sync, cluster, reporter};
  Conditions conditions{sync, reporter, health};
  // They are not run, and find nothing.
  ForwardGuard forwarding{context.get_executor(),
                          kernel,
                          thread,
                          {.warn = [](const std::string&) {}, .note = [](const std::string&) {}},
                          {}};
  KubeProxyGuard kube_proxy{context.get_executor(),
                            kernel,
                            thread,
                            {},
                            {.left = [](const std::string&) {},
                             .runs = [](const std::string&) {},
                             .note = [](const std::string&) {}},
                            {}};

 private:
  void on_dirty(const ipvs::Owner&) override {}

  static config::Config make_config() {
    config::Config config;
    config.node_name = kThisNode;
    config.manifests = "/nonexistent";  // where no Node need be
    return config;
  }
};

}  // namespace agent::test
