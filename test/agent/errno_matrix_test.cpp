// SPDX-License-Identifier: Apache-2.0
//
// The errno matrix: every call of the kernel interface fails in every way, over a scenario that
// uses every call. One run for each call, error and moment at which the fault begins.
//
//   meanwhile  a Service that the fault does not concern is served, and the agent runs
//   afterwards the kernel is as the agent plans it from scratch
//
// A call that changes something fails for one Service's addresses; any other fails as a whole.
// What the start needs is asked for until the kernel gives it, or the start ends with one line; then
// the operator has repaired it, and the next start is as any other.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <vector>

#include "agent/prepare_kernel.hpp"
#include "test/agent/app_fixture.hpp"
#include "test/fake/failing_kernel.hpp"

namespace agent {
namespace {

using namespace agent::test;
using fake::FailingKernel;
using ipvs::ServerKey;

const ServerKey kSteady{ip("10.96.0.1"), 80};
const ServerKey kVictim{ip("10.96.0.66"), 80};
const k8s::Address kVictimLoadBalancer = ip("203.0.113.66");

constexpr int kErrors[] = {EPERM,
                           EACCES,
                           ENOMEM,
                           EBUSY,
                           ENOSPC,
                           EINVAL,
                           ENODEV,
                           ENOENT,
                           EEXIST,
                           ENOBUFS,
                           ipvs::kUnknownOutcome};

// When the fault begins. kStart: before the agent does.
enum class Begin { kStart, kRunning };

std::string name_of(int error) {
  return error == ipvs::kUnknownOutcome ? "a lost reply" : strerrorname_np(error);
}

k8s::Service steady() { return make_service("steady", {"10.96.0.1"}); }

k8s::Service victim() {
  k8s::ServicePort dns = make_port(53, 5353, "dns");
  dns.protocol = k8s::Protocol::kUdp;
  k8s::Service service = make_service("victim", {"10.96.0.66"}, {make_port(80, 8080, "http"), dns});
  service.selector = {{"app", "victim"}};
  service.type = k8s::ServiceType::kLoadBalancer;
  service.load_balancer_ingress = {{.ip = kVictimLoadBalancer, .proxy_mode = false}};
  service.load_balancer_source_ranges = {{.address = ip("198.51.100.0"), .prefix_length = 24}};
  return service;
}

k8s::Service with_node_port() {
  k8s::Service service = make_service("door", {"10.96.0.3"});
  service.type = k8s::ServiceType::kNodePort;
  service.ports.front().node_port = 30080;
  return service;
}

k8s::Pod victim_pod(int number) {
  const std::string text = std::to_string(number);
  return make_pod("victim-" + text, {"10.244.1." + text}, {{"app", "victim"}});
}

// What others have: one chain that needs a rule of ours, one that has it and no longer needs it, and
// what kube-proxy has left.
void add_chains(fake::FakeKernel& kernel, const std::string& of_kube_proxy) {
  kernel.forward_chains = {
      {.family = 2, .table = "filter", .name = "FORWARD", .drops = true},
      {.family = 2, .table = "other", .name = "forward", .drops = false, .our_rules = {7}}};
  kernel.kube_proxy_chains = {{.family = 2, .table = "nat", .names = {of_kube_proxy}}};
  kernel.kube_proxy_sets = {"KUBE-CLUSTER-IP"};
}

bool is_served(const FailingKernel::Snapshot& kernel, const ServerKey& key) {
  const auto server = kernel.held_servers.find(key);
  return server != kernel.held_servers.end() && !server->second.destinations.empty() &&
         kernel.held_addresses.contains(key.address);
}

class Scenario : public AppFixture {
 public:
  Scenario() : AppFixture(std::make_unique<FailingKernel>()) {
    config.forward_accept = true;
    sync_options = {.drain_interval = 1ms,
                    .again_interval = 1ms,
                    .audit_interval = 1ms,
                    .count_interval = 1ms,
                    .retry_first = 1ms,
                    .retry_limit = 4ms};
    add_chains(kernel, "KUBE-SERVICES");
  }

  FailingKernel& failing() { return static_cast<FailingKernel&>(kernel); }

  // As agent/main.cpp. The third pause mends the kernel; so does, after a refusal, an operator.
  void prepare() {
    int pauses = 0;
    const auto pause = [&](std::chrono::milliseconds) {
      if (++pauses == 3) failing().mend();
    };
    const std::string why = prepare_kernel(config, kernel, pause);
    if (why.empty()) {
      CHECK((pauses == 0 || pauses == 3));
      CHECK(log.count("trying again until") == (pauses == 0 ? 0 : 1));
      return;
    }
    CHECK(pauses == 0);
    CHECK(why.find('\n') == std::string::npos);
    failing().mend();
    CHECK(prepare_kernel(config, kernel, pause) == "");
  }

  void begin() {
    prepare();
    start();
    source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
    source->list<k8s::Pod>(source->sinks.pods,
                           {make_pod("web-1", {"10.244.0.1"}), victim_pod(1), victim_pod(2)});
    source->list<k8s::EndpointSlice>(source->sinks.slices, {});
    source->list<k8s::Service>(source->sinks.services, {steady(), victim(), with_node_port()});
    run_a_while();
  }

  // While the call fails. A pass may be under way.
  bool serves(const ServerKey& key) {
    const auto limit = std::chrono::steady_clock::now() + 3s;
    while (!is_served(failing().snapshot(), key)) {
      if (std::chrono::steady_clock::now() > limit) return false;
      run_a_while();
    }
    return true;
  }

  // Every change below leads to a call that no other makes, and the last state is always the same.
  void change_everything() {
    source->sinks.pods->upsert(victim_pod(3));
    run_a_while();
    drain_a_pod();
    change_behind_its_back();
    change_the_node();
    come_and_go();
  }

  // Until so many audits have ended, as check_record() ends each; no longer than where there are
  // none.
  void run_a_while(std::size_t count = 1) {
    const auto limit = std::chrono::steady_clock::now() + 8ms;
    const std::size_t audits = failing().count_of("check_record");
    while (std::chrono::steady_clock::now() < limit &&
           failing().count_of("check_record") < audits + count) {
      if (context_.stopped()) context_.restart();
      context_.run_one_for(1ms);
    }
  }

 private:
  void drain_a_pod() {
    failing().behind_its_back([](FailingKernel& k) {
      k.active_connections[{kVictim, {ip("10.244.1.2"), 8080}}] = 1;
    });
    k8s::Pod going = victim_pod(2);
    going.meta.deletion_grace_seconds = 600;
    going.meta.deletion_timestamp = 600 + static_cast<k8s::UnixSeconds>(std::time(nullptr));
    source->sinks.pods->upsert(going);
    run_a_while();
    failing().behind_its_back([](FailingKernel& k) { k.active_connections.clear(); });
    run_a_while();
    source->sinks.pods->remove(going.meta.key);
    run_a_while();
  }

  void change_behind_its_back() {
    failing().behind_its_back([](FailingKernel& k) {
      k.delete_device();
      add_chains(k, "KUBE-NODE-PORT");  // the same one again would mean that kube-proxy runs
    });
    kernel.notify({.device = true, .vips = {}, .forwarding = true});
    run_a_while(3);
    failing().behind_its_back([](FailingKernel& k) {
      const auto server = k.servers.find(kVictim);
      if (server != k.servers.end()) server->second.destinations.clear();
      std::erase_if(k.elements, [](const ipvs::Element& element) {
        return element.kind == ipvs::ElementKind::kAllowedSource;
      });
    });
    k8s::Pod heavy = victim_pod(1);
    heavy.meta.annotations["kube-ipvs.io/weight"] = "7";
    source->sinks.pods->upsert(heavy);
    k8s::Service narrow = victim();
    narrow.load_balancer_source_ranges = {{.address = ip("192.0.2.0"), .prefix_length = 24}};
    source->sinks.services->upsert(narrow);
    run_a_while();
  }

  void change_the_node() {
    failing().behind_its_back([](FailingKernel& k) {
      k.local_addresses.push_back(
          {.address = ip("192.168.1.2"), .interface_name = "eth0", .prefix_length = 24});
      k.gateways = {ip("192.168.1.254")};
    });
    kernel.notify({.node_addresses = true});
    run_a_while();
    // What is bound before the agent hears of the loss is not the agent's fault.
    std::vector<std::string> violations;
    failing().behind_its_back([&](FailingKernel& k) {
      k.table_present = false;
      k.elements.clear();
      violations = k.violations;
    });
    const std::size_t installed = failing().count_of("install_table");
    kernel.notify({.our_table = true, .forwarding = true});
    run_a_while();
    for (int i = 0; i < 100 && failing().count_of("install_table") == installed; ++i) run_a_while();
    failing().behind_its_back([&](FailingKernel& k) { k.violations = violations; });
  }

  void come_and_go() {
    // The first of its kind: sets get their first elements, and the table the rules for them.
    k8s::Service guest = make_service("guest", {"10.96.0.9"});
    guest.type = k8s::ServiceType::kLoadBalancer;
    guest.external_traffic_policy = k8s::TrafficPolicy::kLocal;
    guest.load_balancer_ingress = {{.ip = ip("203.0.113.9"), .proxy_mode = false}};
    source->sinks.services->upsert(guest);
    run_a_while();
    source->sinks.services->remove(guest.meta.key);
    run_a_while();
  }
};

const FailingKernel::Snapshot& from_scratch() {
  static const FailingKernel::Snapshot snapshot = [] {
    Scenario scenario;
    scenario.begin();
    scenario.change_everything();
    scenario.until("the kernel is at rest", [&, last = FailingKernel::Snapshot{}]() mutable {
      scenario.run_a_while();
      auto now = scenario.failing().snapshot();
      return std::exchange(last, now) == now && now.held_servers.contains(kSteady);
    });
    return scenario.failing().snapshot();
  }();
  return snapshot;
}

// Every function of ipvs::Kernel, read from its header: one that is added later takes part at once,
// and until FailingKernel makes it fail the matrix says that no run did.
std::vector<std::string> calls_of_the_interface() {
  std::ifstream file(KUBE_IPVS_SOURCE_DIR "/ipvs/state/kernel.hpp");
  std::vector<std::string> calls;
  // Two kinds have no errors: without notes durations begin anew, and a kube-proxy that is not found
  // is looked for again. Only a plan calls look(): plan_command_test.cpp. Only a page of metrics
  // needs read_servers(): scrape_test.cpp. Only somebody who asks needs open_flow_observer():
  // answers/observe_test.cpp. order_of_fill() only proposes an order,
  // and load_modules() only comes before what would load them anyway.
  const std::regex call(
      R"(^  virtual (?!Notes |void write_notes|.* find_kube_proxies|.* look\(|.* read_servers\(|.* open_flow_observer\(|.* order_of_fill\(|void load_modules).*[ >](\w+)\(.*)");
  std::smatch found;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, found, call)) calls.push_back(found[1]);
  }
  return calls;
}

// Calls without which an agent that starts has nothing to serve with.
bool is_needed_to_start(const std::string& call) {
  return call == "observe" || call == "install_table" || call == "read_local_addresses";
}

// What differs, a line each.
std::string difference(const FailingKernel::Snapshot& found) {
  const FailingKernel::Snapshot& wanted = from_scratch();
  std::string text;
  const auto add = [&](const std::string& line) { text += line + "\n"; };
  const auto compare = [&](const auto& have, const auto& want, auto name) {
    for (const auto& each : want) {
      if (!have.contains(each)) add("missing: " + name(each));
    }
    for (const auto& each : have) {
      if (!want.contains(each)) add("left over: " + name(each));
    }
  };
  compare(found.held_addresses, wanted.held_addresses, [](const auto& a) { return a.to_string(); });
  compare(found.chains, wanted.chains, [](const std::string& each) { return each; });
  compare(found.held_elements, wanted.held_elements, [](const auto& e) { return e.text(); });
  for (const auto& [key, server] : wanted.held_servers) {
    const auto other = found.held_servers.find(key);
    if (other == found.held_servers.end()) {
      add("missing: " + key.text());
    } else if (other->second != server) {
      add("other settings or destinations: " + key.text());
    }
  }
  for (const auto& [key, server] : found.held_servers) {
    if (!wanted.held_servers.contains(key)) add("left over: " + key.text());
  }
  return text;
}

// The command that ends with an error has not removed everything, and can be repeated.
bool cleanup_run(const fake::BrokenCall& broken) {
  Scenario scenario;
  scenario.begin();
  scenario.stop();
  scenario.failing().break_call(broken);
  CHECK(scenario.kernel.cleanup({}).faults.size() == 1);
  scenario.failing().mend();
  CHECK(scenario.kernel.cleanup({}).faults.empty());
  CHECK(scenario.failing().snapshot().held_servers.empty());
  CHECK(scenario.failing().snapshot().held_addresses.empty());
  return scenario.failing().has_failed();
}

// Whether the call failed.
bool one_run(const fake::BrokenCall& broken, Begin begin) {
  INFO(broken.call << " fails with " << name_of(broken.error)
                   << (begin == Begin::kStart ? " from the start" : " while it runs"));
  from_scratch();  // its agent ends by a signal, which this run's would receive, too
  if (broken.call == "cleanup") return cleanup_run(broken);
  Scenario scenario;
  if (begin == Begin::kStart) scenario.failing().break_call(broken);
  scenario.begin();
  if (begin == Begin::kRunning) {
    scenario.until("it is served",
                   [&] { return is_served(scenario.failing().snapshot(), kSteady); });
    scenario.failing().break_call(broken);
  }
  scenario.change_everything();
  if (begin == Begin::kRunning || !is_needed_to_start(broken.call)) {
    CHECK(scenario.serves(kSteady));
  }
  const bool has_failed = scenario.failing().has_failed();
  scenario.failing().mend();
  const auto limit = std::chrono::steady_clock::now() + 3s;
  while (scenario.failing().snapshot() != from_scratch() &&
         std::chrono::steady_clock::now() < limit) {
    scenario.run_a_while();
  }
  INFO(scenario.log.text());
  CHECK(difference(scenario.failing().snapshot()) == "");
  CHECK(scenario.kernel.violations == std::vector<std::string>{});
  return has_failed;
}

}  // namespace

TEST_CASE("whatever call fails and however, all else is served and the kernel recovers",
          "[errno-matrix]") {
  const std::vector<std::string> calls = calls_of_the_interface();
  CHECK(calls.size() >= 30);
  std::size_t runs = 0;
  std::map<std::string, std::size_t> failed;
  for (const std::string& call : calls) {
    for (const int error : kErrors) {
      for (const Begin begin : {Begin::kStart, Begin::kRunning}) {
        const fake::BrokenCall broken{
            .call = call, .error = error, .victims = {kVictim.address, kVictimLoadBalancer}};
        if (one_run(broken, begin)) ++failed[call];
        ++runs;
      }
    }
  }
  for (const std::string& call : calls) {
    INFO("no run made the call " << call << " fail");
    CHECK(failed[call] > 0);
  }
  std::cout << "errno matrix: " << calls.size() << " calls, " << std::size(kErrors)
            << " errors, 2 moments: " << runs << " runs\n";
}

}  // namespace agent
