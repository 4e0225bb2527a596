// SPDX-License-Identifier: Apache-2.0
//
// The agent is killed before and after every single operation of a day in the life of a node, and a
// new one starts on the kernel as it is: with the same cluster, and with one in which something else
// happened meanwhile. The next start must find what drains, the deadlines, lingering Services and
// affinity; it must change nothing that is right; and afterwards everything must be as if nobody had
// been killed. Deadlines count from the first cause: an agent that begins them anew keeps what
// should be gone.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/sync/sync_loop.hpp"
#include "test/agent/mortal_kernel.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/sync/sync_fixture.hpp"

namespace {

using namespace agent::test;
using ipvs::Endpoint;
using ipvs::Protocol;
using ipvs::ServerKey;

constexpr k8s::UnixSeconds kBoot = 1764400000;

// The cluster, the kernel and the time: what outlives an agent.
struct World {
  std::map<k8s::ObjectKey, k8s::Service> services;
  std::map<k8s::ObjectKey, k8s::Pod> pods;
  MortalKernel kernel;
  agent::MonotonicSeconds now = 1000;

  void add(const k8s::Service& service) { services[service.meta.key] = service; }
  void add(const k8s::Pod& pod) { pods[pod.meta.key] = pod; }
  k8s::Pod& pod(const std::string& name) { return pods.at(key_of(name)); }
  k8s::Service& service(const std::string& name) { return services.at(key_of(name)); }
  void remove_service(const std::string& name) { services.erase(key_of(name)); }
  void remove_pod(const std::string& name) { pods.erase(key_of(name)); }
  void terminate(const std::string& name, std::uint32_t grace) {
    pod(name).meta.deletion_timestamp = kBoot + now + grace;
    pod(name).meta.deletion_grace_seconds = grace;
  }
  void set_ready(const std::string& name, bool ready) {
    pod(name).ready = ready;
    pod(name).ready_since = kBoot + now;
  }
  void connect(const std::string& vip, std::uint16_t port, const std::string& pod) {
    kernel.active_connections[{ServerKey{ip(vip), port}, Endpoint{ip(pod), 8080}}] = 3;
  }
};

// The steady clock of the sync loop: far from the real one, so that no timer of it ends by itself.
struct LoopClock {
  static inline std::chrono::steady_clock::time_point now{};
  static std::chrono::steady_clock::time_point read() { return now; }
};

// One run of the agent.
class Life : agent::ClusterObserver {
 public:
  explicit Life(World& world)
      : world_(world),
        state_(config_, *this,
               {.monotonic = [this] { return world_.now; },
                .wall = [this] { return kBoot + world_.now; }}),
        sync_(context_.get_executor(), world.kernel, thread_, state_, observer_,
              {.audit_interval = std::chrono::hours(10000),
               .count_interval = std::chrono::hours(10000),
               .now = LoopClock::read}) {
    set_clock();
    boost::asio::co_spawn(context_, sync_.run(),
                          boost::asio::bind_cancellation_slot(
                              stop_.slot(), [this](std::exception_ptr error) { end(error); }));
    state_.remember(world.kernel.read_notes());
    state_.set_local_addresses(
        {{.address = ip("192.168.1.1"), .interface_name = "eth0", .prefix_length = 24}});
    first_list(state_.sinks().nodes, {{key_of("node"), make_node(kThisNode)}});
    first_list(state_.sinks().pods, world.pods);
    first_list(state_.sinks().slices, std::map<k8s::ObjectKey, k8s::EndpointSlice>());
    first_list(state_.sinks().services, world.services);
    services_ = world.services;
    pods_ = world.pods;
  }
  ~Life() override {
    if (!has_ended_) stop_.emit(boost::asio::cancellation_type::terminal);
    until([this] { return has_ended_; });
  }

  // Delivers what has changed, and works until nothing is left to do. False: it was killed.
  bool work() {
    set_clock();
    deliver(state_.sinks().pods, pods_, world_.pods);
    deliver(state_.sinks().services, services_, world_.services);
    for (int pass = 0; pass < 3 && !has_ended_; ++pass) {
      sync_.mark_dirty("default/nothing");  // an event, so that the loop looks at the time
      until([this] { return has_ended_ || (sync_.complete() && !sync_.unpassed_since()); });
    }
    return !has_ended_;
  }

 private:
  template <typename T>
  static void first_list(k8s::Sink<T>* sink, const std::map<k8s::ObjectKey, T>& objects) {
    sink->list_started();
    for (const auto& [key, object] : objects) sink->upsert(T(object));
    sink->list_finished();
  }
  template <typename T>
  static void deliver(k8s::Sink<T>* sink, std::map<k8s::ObjectKey, T>& known,
                      const std::map<k8s::ObjectKey, T>& now) {
    for (const auto& [key, object] : known) {
      if (!now.contains(key)) sink->remove(key);
    }
    for (const auto& [key, object] : now) {
      const auto before = known.find(key);
      if (before == known.end() || !(before->second == object)) sink->upsert(T(object));
    }
    known = now;
  }
  static config::Config make_config() {
    config::Config config;
    config.node_name = kThisNode;
    return config;
  }
  void set_clock() {
    static const auto far = std::chrono::steady_clock::now() + std::chrono::hours(1000);
    LoopClock::now = far + std::chrono::seconds(world_.now);
  }
  void end(const std::exception_ptr& error) {
    has_ended_ = true;
    try {
      if (error) std::rethrow_exception(error);
    } catch (const Died&) {
    } catch (const boost::system::system_error&) {  // cancelled
    }
  }
  template <typename Condition>
  void until(Condition condition) {
    while (!condition()) {
      if (context_.stopped()) context_.restart();
      if (context_.run_one_for(std::chrono::seconds(20)) == 0) FAIL("nothing happened for 20 s");
    }
  }
  void on_dirty(const ipvs::Owner& service) override { sync_.mark_dirty(service); }
  void on_node_view() override { sync_.node_addresses_changed(); }
  void on_ready() override { sync_.sources_ready(); }

  World& world_;
  const config::Config config_ = make_config();
  boost::asio::io_context context_;
  agent::KernelThread thread_;
  RecordingObserver observer_;
  boost::asio::cancellation_signal stop_;
  bool has_ended_ = false;
  std::map<k8s::ObjectKey, k8s::Service> services_;
  std::map<k8s::ObjectKey, k8s::Pod> pods_;
  agent::ClusterState state_;
  agent::SyncLoop sync_;
};

k8s::Service service_for(const std::string& name, const std::string& vip) {
  k8s::Service service = make_service(name, {vip});
  service.selector = {{"app", name}};
  return service;
}

k8s::Pod pod_of(const std::string& app, const std::string& name, const std::string& address) {
  k8s::Pod pod = make_pod(name, {address}, {{"app", app}});
  pod.ready_since = kBoot + 10;
  return pod;
}

void first_objects(World& world) {
  world.add(service_for("web", "10.96.0.1"));
  for (const auto* n : {"1", "2", "3"}) {
    world.add(pod_of("web", std::string("web-") + n, std::string("10.244.1.") + n));
  }
  k8s::Service sticky = service_for("sticky", "10.96.0.2");
  sticky.type = k8s::ServiceType::kNodePort;
  sticky.ports[0].node_port = 30080;
  sticky.client_ip_affinity_seconds = 600;
  sticky.external_ips = ips({"203.0.113.2"});
  world.add(sticky);
  world.add(pod_of("sticky", "sticky-1", "10.244.2.1"));
  k8s::Service lb = service_for("lb", "10.96.0.3");
  lb.type = k8s::ServiceType::kLoadBalancer;
  lb.load_balancer_ingress = {{.ip = ip("203.0.113.3")}};
  lb.load_balancer_source_ranges = {{ip("198.51.100.0"), 24}};
  lb.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  lb.meta.annotations["kube-ipvs.io/drain-timeout"] = "40";
  world.add(lb);
  world.add(pod_of("lb", "lb-1", "10.244.3.1"));
  world.add(pod_of("lb", "lb-2", "10.244.3.2"));
  k8s::Service old = service_for("old", "10.96.0.4");
  old.meta.annotations["kube-ipvs.io/linger"] = "60";
  old.type = k8s::ServiceType::kLoadBalancer;
  old.load_balancer_ingress = {{.ip = ip("203.0.113.4")}};
  old.load_balancer_source_ranges = {{ip("198.51.100.0"), 24}, {ip("192.0.2.0"), 25}};
  old.ports[0].node_port = 30081;
  old.client_ip_affinity_seconds = 900;
  world.add(old);
  world.add(pod_of("old", "old-1", "10.244.4.1"));
  k8s::Service dns = service_for("dns", "10.96.0.10");
  dns.ports[0].protocol = k8s::Protocol::kUdp;
  world.add(dns);
  world.add(pod_of("dns", "dns-1", "10.244.5.1"));
  world.add(pod_of("dns", "dns-2", "10.244.5.2"));
  world.connect("10.96.0.1", 80, "10.244.1.1");
  world.connect("10.96.0.1", 80, "10.244.1.3");
  world.connect("203.0.113.3", 80, "10.244.3.1");
  world.connect("10.96.0.4", 80, "10.244.4.1");
  world.connect("203.0.113.4", 80, "10.244.4.1");
}

// The day: what happens, one after another. After each the agent works, six seconds pass, and it
// works again; an agent that is killed before it has noted a cause takes it for six seconds younger.
using Step = std::function<void(World&)>;
const std::vector<Step>& day() {
  static const std::vector<Step> steps{
      first_objects,
      [](World& w) {
        w.now += 4;
        w.terminate("web-1", 66);  // at 1010: until 1076
      },
      [](World& w) { w.set_ready("lb-1", false); },  // at 1016: its drain timeout ends at 1056
      [](World& w) {
        w.add(service_for("new", "10.96.0.5"));
        w.add(pod_of("new", "new-1", "10.244.6.1"));
        w.add(pod_of("web", "web-4", "10.244.1.4"));
      },
      [](World& w) { w.remove_service("old"); },  // at 1028: lingers until 1088
      [](World& w) {
        w.remove_pod("dns-1");
        w.set_ready("web-3", false);  // it drains, for as long as it likes
      },
      [](World& w) { w.now += 9; },                  // 1049, 1055
      [](World& w) { w.now += 7; },                  // 1062, 1068: lb-1 is gone
      [](World& w) { w.set_ready("web-3", true); },  // 1068, 1074
      [](World& w) { w.now += 3; },                  // 1077, 1083: web-1 is gone
      [](World& w) { w.now += 13; },                 // 1096, 1102: old is gone
      [](World& w) {
        w.remove_service("new");
        k8s::Service& sticky = w.service("sticky");
        sticky.client_ip_affinity_seconds.reset();
        sticky.external_ips.clear();
        sticky.type = k8s::ServiceType::kClusterIp;
        sticky.ports[0].node_port = 0;
        w.service("lb").load_balancer_source_ranges = {{ip("198.51.100.0"), 25}};
      },
      [](World& w) {
        w.remove_pod("web-2");
        w.terminate("sticky-1", 30);
      },
      [](World& w) {
        w.kernel.active_connections.clear();
        w.remove_pod("web-1");
      }};
  return steps;
}

// Kernel states after each step when nobody is killed.
struct Uninterrupted {
  std::vector<KernelState> states;
  std::size_t points = 0;
};

Uninterrupted live_through() {
  Uninterrupted result;
  World world;
  std::unique_ptr<Life> life;
  for (const Step& step : day()) {
    step(world);
    if (!life) life = std::make_unique<Life>(world);
    REQUIRE(life->work());
    world.now += 6;
    REQUIRE(life->work());
    result.states.push_back(world.kernel.state());
  }
  result.points = world.kernel.points;
  CHECK(world.kernel.violations == std::vector<std::string>{});
  return result;
}

struct Death {
  std::size_t point = 0;
  bool before = false;
  // The next step happens before the next start; not in the first one, when nothing is served yet.
  bool meanwhile = false;
};

// The same day with one death. What is wrong, "" if nothing is.
std::string live_and_die(const Death& death, const std::vector<KernelState>& expected) {
  World world;
  world.kernel.dies_at = death.point;
  world.kernel.dies_before = death.before;
  std::unique_ptr<Life> life;
  std::size_t step = 0;
  const auto work = [&] {
    if (!life) life = std::make_unique<Life>(world);
    if (life->work()) return;
    life.reset();
    if (death.meanwhile && step > 0 && step + 1 < day().size()) day()[++step](world);
    world.kernel.coming = &expected[step];
    life = std::make_unique<Life>(world);
    REQUIRE(life->work());
  };
  for (; step < day().size(); ++step) {
    world.kernel.coming = &expected[step];
    day()[step](world);
    work();
    const std::size_t worked = step;
    world.now += 6;
    work();
    if (step != worked) {  // killed in the second half, and the next step has begun
      world.now += 6;
      work();
    }
    if (world.kernel.state() != expected[step]) {
      return "after step " + std::to_string(step) + ":\n" + world.kernel.state().text() +
             "expected:\n" + expected[step].text();
    }
  }
  std::string text;
  for (const std::string& wrong : world.kernel.wrongs) text += "needless: " + wrong + "\n";
  for (const std::string& violation : world.kernel.violations) text += violation + "\n";
  return text;
}

KernelState from_scratch() {
  World world;
  for (const Step& step : day()) step(world);
  Life life(world);
  REQUIRE(life.work());
  return world.kernel.state();
}

}  // namespace

TEST_CASE("a node's day ends in the state that is planned from scratch") {
  CHECK(live_through().states.back().text() == from_scratch().text());
}

TEST_CASE(
    "an agent killed at any kernel operation is continued by the next one as if it had lived") {
  const bool before = GENERATE(true, false);
  const bool meanwhile = GENERATE(false, true);
  const Uninterrupted uninterrupted = live_through();
  CHECK(uninterrupted.points >= 80);
  std::size_t wrong = 0;
  for (std::size_t point = 1; point <= uninterrupted.points && wrong < 3; ++point) {
    const Death death{.point = point, .before = before, .meanwhile = meanwhile};
    const std::string fault = live_and_die(death, uninterrupted.states);
    INFO("killed " << (before ? "before" : "after") << " operation " << point << " of "
                   << uninterrupted.points << (meanwhile ? ", and the cluster changed" : ""));
    CHECK(fault == "");
    if (!fault.empty()) ++wrong;
  }
}

TEST_CASE("without its notes an agent begins durations anew, and no more") {
  const Uninterrupted uninterrupted = live_through();
  World world;
  {
    Life life(world);
    for (std::size_t step = 0; step < 4; ++step) {
      day()[step](world);
      REQUIRE(life.work());
      world.now += 6;
    }
  }
  CHECK(world.kernel.notes.contains("pod default/web-1"));
  world.kernel.notes["pod default/web-1"] = "garbage";
  world.kernel.notes["service default/old"] = "60 - TCP,nowhere,80";
  world.kernel.notes["\x01"] = "";
  Life life(world);
  REQUIRE(life.work());
  world.now = 1080;  // 1010 + 66 has passed, but not since the start
  REQUIRE(life.work());
  const ServerKey web{ip("10.96.0.1"), 80};
  CHECK(world.kernel.servers.at(web).destinations.front() ==
        ipvs::Destination{.endpoint = {ip("10.244.1.1"), 8080}, .weight = 0});
  world.now = 1100;
  REQUIRE(life.work());
  CHECK(world.kernel.servers.at(web).destinations.front().endpoint.address == ip("10.244.1.2"));
}
