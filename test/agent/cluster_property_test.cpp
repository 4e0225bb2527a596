// SPDX-License-Identifier: Apache-2.0
//
// From the events of a source to what the kernel holds, without the waiting of the sync loop.
// For any events in any order:
//
//   - the kernel ends up as if it had been planned from scratch;
//   - no address is bound, and no virtual server added, before the sets have all that protects it;
//   - after each batch that succeeded every virtual server is as planned, with every endpoint;
//   - foreign virtual servers stay as they are;
//   - no virtual server has two owners.
//
// A long search: RC_PARAMS=max_success=20000 test_agent "any order of cluster events*".
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/cluster/cluster_state.hpp"
#include "agent/decide/reconciler.hpp"
#include "test/agent/arbitrary_cluster.hpp"
#include "test/agent/decide/plan_text.hpp"
#include "test/agent/sync/watching_kernel.hpp"

namespace {

using namespace agent::test;
using config::EndpointSource;
using ipvs::Element;
using ipvs::Owner;
using ipvs::ServerKey;

// How one run is set up.
struct Setting {
  EndpointSource source = EndpointSource::kSelector;
  config::Compat compat = config::Compat::kNone;
  std::set<std::string> absent_schedulers{};
  bool faulty = false;    // the fake kernel fails now and then
  bool restarts = false;  // of the agent
  int pause_every = 0;    // so many steps of a change; 0: never
};

template <typename T>
void deliver_list(k8s::Sink<T>* sink, const std::map<k8s::ObjectKey, T>& objects) {
  if (!sink) return;
  sink->list_started();
  for (const auto& [key, object] : objects) sink->upsert(object);
  sink->list_finished();
}

// An agent without its loop. Its kernel outlives it.
class Agent : public agent::ClusterObserver {
 public:
  using Foreign = std::map<ServerKey, ipvs::Server>;

  Agent(Setting setting, Foreign foreign)
      : setting_(std::move(setting)), config_(make_config(setting_)), foreign_(std::move(foreign)) {
    kernel_.servers = foreign_;
    kernel_.desired = &reconciler_.desired();
    kernel_.faulty = setting_.faulty;
    kernel_.absent_schedulers = setting_.absent_schedulers;
    start();
  }

  agent::ClusterState& state() { return *state_; }
  WatchingKernel& kernel() { return kernel_; }
  const Foreign& foreign() const { return foreign_; }
  k8s::Sinks sinks() { return state_->sinks(); }

  void deliver_lists(const Cluster& cluster) {
    state_->set_local_addresses(cluster.local);
    state_->set_gateways(cluster.gateways);
    set_api_servers(cluster);
    deliver_list(sinks().services, cluster.services);
    deliver_list(sinks().pods, cluster.pods);
    deliver_list(sinks().weighted_pods, std::map<k8s::ObjectKey, k8s::Pod>{});
    deliver_list(sinks().slices, cluster.slices);
    deliver_list(sinks().nodes, cluster.nodes);
  }
  void set_api_servers(const Cluster& cluster) {
    state_->set_holder({agent::HolderKind::kApiServer, "resolved"}, cluster.api_servers);
  }
  // As after kill -9: the kernel keeps its state, the sources deliver everything again.
  void restart(const Cluster& cluster) {
    start([&] { deliver_lists(cluster); });
    pass();
  }

  // What the sync loop does until there is nothing new to plan.
  void pass() {
    passed_at_ = now;
    dirty_.merge(std::exchange(again_, {}));
    do {
      plan_dirty();
      const bool is_continued = reconciler_.backlog_size() > 0;
      carry_out(reconciler_.next_changes(may_drain()));
      if (is_continued) carry_out(reconciler_.take_backlog());
    } while (!dirty_.empty());
  }
  void retry_failed() { reconciler_.retry_failed(); }
  void look_at_drains() {
    const auto& draining = reconciler_.ledger().draining_servers();
    const std::vector<ServerKey> keys(draining.begin(), draining.end());
    carry_out(reconciler_.finish_drains(*kernel_.read_destinations(keys), may_drain()));
  }
  void look_at_contested() {
    for (const ServerKey& key : reconciler_.contested()) {
      if (!kernel_.servers.contains(key)) dirty_.merge(reconciler_.foreign_gone(key));
    }
  }

  void foreign_comes(const ServerKey& key) {
    if (kernel_.servers.contains(key)) return;
    kernel_.servers[key] = foreign_[key] = {.settings = {.key = key, .scheduler = "wlc"}};
  }
  void foreign_goes(const ServerKey& key) {
    if (foreign_.erase(key) > 0) kernel_.servers.erase(key);
  }

  void check(const Cluster& cluster) {
    RC_ASSERT(kernel_.violations == std::vector<std::string>{});
    for (const auto& [key, server] : foreign_) RC_ASSERT(kernel_.servers.at(key) == server);
    check_owners();
    if (!dirty_.empty() || now != passed_at_ || reconciler_.backlog_size() > 0) return;
    for (const auto& [key, service] : cluster.services) check_plan(key.text());
    if (reconciler_.failed_count() == 0) {
      check_kernel();
    } else {
      RC_ASSERT(setting_.faulty);
    }
  }
  // Until nothing changes any more, with time to spare for every drain, slow start and lingering
  // Service.
  void settle() {
    for (int round = 0; round < 10; ++round) {
      if (round == 2) now += 1000;
      retry_failed();
      look_at_contested();
      do pass();
      while (reconciler_.backlog_size() > 0);
      look_at_drains();
    }
    RC_ASSERT(dirty_.empty());
    RC_ASSERT(again_.empty());
    RC_ASSERT(reconciler_.next_changes(may_drain()).empty());
    RC_ASSERT(reconciler_.failed_count() == 0u);
  }

  k8s::UnixSeconds now = kStart;

 private:
  static config::Config make_config(const Setting& setting) {
    config::Config config;
    config.node_name = kThisNode;
    config.endpoint_source = setting.source;
    config.compat = setting.compat;
    return config;
  }
  void on_dirty(const Owner& service) override { dirty_.insert(service); }
  void on_node_view() override { node_dirty_ = true; }
  // SyncLoop::read_and_install().
  void start(const std::function<void()>& deliver = [] {}) {
    dirty_.clear();
    again_.clear();
    node_dirty_ = true;
    state_ = std::make_unique<agent::ClusterState>(
        config_, *this,
        agent::Clocks{.monotonic = [this] { return now; }, .wall = [this] { return now; }});
    deliver();
    reconciler_ = {};
    reconciler_.adopt(*kernel_.observe());
    plan_dirty();
    RC_ASSERT(kernel_.record_own(reconciler_.ledger().server_keys()).has_value());
    const std::vector<Element> elements = reconciler_.table_elements();
    RC_ASSERT(kernel_.install_table({}, elements) == 0);
    reconciler_.first_table_installed(elements);
  }
  void plan_dirty() {
    if (std::exchange(node_dirty_, false)) {
      reconciler_.set_node_addresses(state_->node_view().node_port_addresses);
    }
    while (!dirty_.empty()) {
      const Owner owner = *dirty_.begin();
      dirty_.erase(dirty_.begin());
      plan_one(owner);
    }
  }
  void plan_one(const Owner& owner) {
    auto wanted = state_->plan(owner);
    if (wanted && wanted->is_lingering && is_drained(wanted->plan)) {
      state_->drained(owner);
      wanted.reset();
    }
    if (!wanted) {
      dirty_.merge(reconciler_.remove(owner));
      return;
    }
    if (wanted->again_in_a_second || wanted->is_lingering) again_.insert(owner);
    dirty_.merge(
        reconciler_.set_plan(owner, {wanted->since, wanted->external_ips}, std::move(wanted->plan))
            .others);
  }
  bool is_drained(const ipvs::ServicePlan& plan) const {
    return std::all_of(plan.servers.begin(), plan.servers.end(), [&](const ipvs::Server& server) {
      const ipvs::Server* held = reconciler_.ledger().server(server.settings.key);
      return !held || held->destinations.empty();
    });
  }
  ipvs::MayDrain may_drain() {
    return [this](const ServerKey& key, const ipvs::Endpoint& e) {
      const Owner* owner = reconciler_.desired().owner_of(key);
      return owner && state_->may_drain(*owner, e);
    };
  }
  // Each operation is a step of its own, so that a pause may come between any two.
  void carry_out(ipvs::Changes changes) {
    ipvs::MustPause must_pause;
    if (setting_.pause_every > 0) {
      must_pause = [this] { return ++steps_ % setting_.pause_every == 0; };
    }
    ipvs::Outcome outcome =
        ipvs::apply(kernel_, changes, {}, must_pause,
                    {.elements = 1, .servers = 1, .addresses = 1, .readings = 1, .least_steps = 1});
    reconciler_.defer(ipvs::take_deferred(changes, outcome));
    const ipvs::Recorded recorded = reconciler_.record(changes, outcome);
    for (const ipvs::Failure& failure : recorded.failures) {
      // SyncLoop::report_failure().
      if (failure.cause == ipvs::FailureCause::kSchedulerMissing) {
        state_->scheduler_is_missing(failure.scheduler);
        reconciler_.retry_failed();
      }
    }
    for (const ServerKey& key : recorded.foreign) {
      if (const Owner* owner = reconciler_.desired().owner_of(key)) dirty_.insert(*owner);
    }
  }

  void check_owners() {
    std::set<ServerKey> owned;
    for (int n = 0; n < kServices; ++n) {
      const Owner owner = key_of(numbered("svc-", n)).text();
      for (const ServerKey& key : reconciler_.desired().servers_of(owner)) {
        RC_ASSERT(owned.insert(key).second);
        RC_ASSERT(*reconciler_.desired().owner_of(key) == owner);
      }
    }
    RC_ASSERT(owned.size() == reconciler_.desired().server_count());
  }
  // What is wanted is the Service's current plan, except for what another Service or a foreign
  // virtual server has.
  void check_plan(const Owner& owner) {
    const auto wanted = state_->plan(owner);
    if (!wanted) {
      RC_ASSERT(reconciler_.desired().servers_of(owner).empty());
      return;
    }
    for (const ipvs::Server& server : wanted->plan.servers) {
      const ServerKey& key = server.settings.key;
      const Owner* holder = reconciler_.desired().owner_of(key);
      if (!holder || *holder != owner) continue;
      RC_ASSERT(server_text(*reconciler_.desired().server(key)) == server_text(server));
    }
  }
  void check_kernel() {
    const ipvs::Desired& desired = reconciler_.desired();
    for (const ServerKey& key : desired.all_keys().servers) {
      const auto found = kernel_.servers.find(key);
      RC_ASSERT(found != kernel_.servers.end());
      const ipvs::Server& wanted = *desired.server(key);
      RC_ASSERT(found->second.settings == wanted.settings);
      for (const ipvs::Destination& d : wanted.destinations) {
        const auto& held = found->second.destinations;
        RC_ASSERT(std::find(held.begin(), held.end(), d) != held.end());
      }
    }
    for (const ipvs::Address& address : desired.addresses()) {
      RC_ASSERT(kernel_.addresses.contains(address));
    }
    for (const Element& element : desired.elements()) {
      const auto found = kernel_.elements.find(element);
      RC_ASSERT(found != kernel_.elements.end());
      RC_ASSERT(*found == element);
    }
  }

  const Setting setting_;
  int steps_ = 0;
  const config::Config config_;
  Foreign foreign_;
  std::set<Owner> dirty_;
  std::set<Owner> again_;
  k8s::UnixSeconds passed_at_ = kStart;
  bool node_dirty_ = false;
  std::unique_ptr<agent::ClusterState> state_;
  agent::Reconciler reconciler_;
  WatchingKernel kernel_;
};

// --- what happens ---

template <typename T>
void change(std::map<k8s::ObjectKey, T>& objects, k8s::Sink<T>* sink, T object) {
  const k8s::ObjectKey key = object.meta.key;
  if (one_in(4)) {
    if (objects.erase(key) > 0 && sink) sink->remove(key);
    return;
  }
  objects[key] = object;
  if (sink) sink->upsert(std::move(object));
}

void change_node(Cluster& cluster, Agent& agent) {
  switch (number(0, 3)) {
    case 3:
      cluster.api_servers = arbitrary_api_servers();
      agent.set_api_servers(cluster);
      break;
    case 0:
      cluster.local = arbitrary_local();
      agent.state().set_local_addresses(cluster.local);
      break;
    case 1:
      cluster.gateways = arbitrary_gateways();
      agent.state().set_gateways(cluster.gateways);
      break;
    default:
      change(cluster.nodes, agent.sinks().nodes, arbitrary_node());
      break;
  }
}

// Connections that end, and some that do not.
void change_connections(Agent& agent) {
  auto& active = agent.kernel().active_connections;
  active.clear();
  for (const auto& [key, server] : agent.kernel().servers) {
    for (const ipvs::Destination& d : server.destinations) {
      if (one_in(3)) active[{key, d.endpoint}] = 1;
    }
  }
}

const std::vector<ServerKey>& foreign_places() {
  using ipvs::Protocol;
  static const std::vector<ServerKey> places{{ip("192.0.2.2"), 80, Protocol::kTcp},
                                             {ip("10.96.0.2"), 443, Protocol::kTcp},
                                             {ip("192.168.1.1"), 30001, Protocol::kTcp}};
  return places;
}

// Foreign virtual servers. If the reply to a creation is lost, what is then found there counts as
// ours: so none is added there in such runs.
void other_event(const Setting& setting, Cluster& cluster, Agent& agent) {
  if (setting.restarts && coin()) return agent.restart(cluster);
  if (setting.faulty) {
    const auto n = static_cast<std::size_t>(number(1, 12));
    if (coin()) return agent.kernel().lose_reply_at(n);
    return agent.kernel().fail_at(n, coin() ? ENOMEM : EBUSY);
  }
  const ServerKey key = *rc::gen::elementOf(foreign_places());
  if (coin()) return agent.foreign_comes(key);
  agent.foreign_goes(key);
  agent.look_at_contested();
}

void edit_service(Cluster& cluster, Agent& agent) {
  if (cluster.services.empty()) return;
  const auto nth = number(0, static_cast<int>(cluster.services.size()) - 1);
  k8s::Service& service = std::next(cluster.services.begin(), nth)->second;
  service = edited(std::move(service));
  agent.sinks().services->upsert(service);
}

void one_event(const Setting& setting, Cluster& cluster, Agent& agent) {
  const k8s::Sinks sinks = agent.sinks();
  switch (number(0, 14)) {
    case 13:
    case 14:
      return edit_service(cluster, agent);
    case 0:
    case 1:
    case 2: {
      const int n = number(0, kServices - 1);
      return change(cluster.services, sinks.services, arbitrary_service(numbered("svc-", n), n));
    }
    case 3:
    case 4:
    case 5: {
      const int n = number(0, kPods - 1);
      return change(cluster.pods, sinks.pods, arbitrary_pod(numbered("pod-", n), n));
    }
    case 6:
    case 7:
      return change(cluster.slices, sinks.slices,
                    arbitrary_slice(numbered("slice-", number(0, 3))));
    case 8:
      return change_node(cluster, agent);
    case 9:
      return agent.deliver_lists(cluster);
    case 10:
      return change_connections(agent);
    case 11:
      return other_event(setting, cluster, agent);
    default:
      agent.now += number(0, 30);
      return agent.look_at_drains();
  }
}

Agent::Foreign arbitrary_foreign(const Setting& setting) {
  Agent::Foreign foreign;
  std::vector<ServerKey> keys{{ip("198.51.100.7"), 80, ipvs::Protocol::kTcp},
                              {ip("0.0.0.0"), 0, ipvs::Protocol::kTcp, 7}};
  if (!setting.faulty && coin()) keys.push_back(*rc::gen::elementOf(foreign_places()));
  for (const ServerKey& key : keys) {
    foreign[key] = {.settings = {.key = key, .scheduler = "wlc"},
                    // No weight of kube-proxy's, whose virtual servers are taken over.
                    .destinations = {{.endpoint = {ip("198.51.100.8"), 80}, .weight = 7}}};
  }
  return foreign;
}

void check_run(EndpointSource source) {
  Setting setting{.source = source};
  if (one_in(3)) setting.compat = config::Compat::kKubeProxy;
  if (one_in(3)) setting.absent_schedulers = {"lc", "mh"};
  setting.faulty = coin();
  setting.restarts = coin();
  setting.pause_every = coin() ? number(1, 7) : 0;
  Cluster cluster;
  cluster.local = arbitrary_local();
  cluster.gateways = arbitrary_gateways();
  Agent agent(setting, arbitrary_foreign(setting));
  if (coin()) agent.deliver_lists(cluster);
  agent.state().set_local_addresses(cluster.local);
  agent.state().set_gateways(cluster.gateways);
  for (int events = number(1, 40); events > 0; --events) {
    one_event(setting, cluster, agent);
    if (coin()) {
      if (coin()) agent.retry_failed();
      agent.pass();
    }
    agent.check(cluster);
  }
  agent.kernel().active_connections.clear();
  agent.settle();
  agent.check(cluster);

  Agent scratch({.source = setting.source,
                 .compat = setting.compat,
                 .absent_schedulers = setting.absent_schedulers},
                agent.foreign());
  scratch.now = agent.now;
  scratch.deliver_lists(cluster);
  scratch.settle();
  RC_ASSERT(kernel_text(agent.kernel()) == kernel_text(scratch.kernel()));
}

}  // namespace

TEST_CASE("any order of cluster events ends in the kernel state planned from scratch") {
  SECTION("endpoints by selector") {
    REQUIRE(rc::check("selector", [] { check_run(EndpointSource::kSelector); }));
  }
  SECTION("endpoints by EndpointSlices") {
    REQUIRE(rc::check("endpointslice", [] { check_run(EndpointSource::kEndpointSlice); }));
  }
}
