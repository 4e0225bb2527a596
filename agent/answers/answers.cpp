// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/answers.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "agent/answers/drains.hpp"
#include "agent/answers/explain.hpp"
#include "agent/answers/history_view.hpp"
#include "agent/answers/next_commands.hpp"
#include "agent/answers/status_view.hpp"
#include "agent/decide/entrances.hpp"
#include "agent/history/state_text.hpp"
#include "agent/report/time_text.hpp"
#include "config/version.hpp"
#include "ipvs/state/binding.hpp"
#include "k8s/async/let_others_run.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr const char* kApiVersion = "kube-ipvs.io/v1";
// Services looked at in one step, and virtual servers read with their destinations by one job.
constexpr std::size_t kServicesAtOnce = 8;
constexpr std::size_t kDumpsAtOnce = 8;
constexpr std::size_t kEndpointsAtOnce = 64;
constexpr std::size_t kAddressesAtOnce = 64;

std::string_view name_of(AddressField field) {
  switch (field) {
    case AddressField::kClusterIp:
      return "clusterIP";
    case AddressField::kNodePort:
      return "nodePort";
    case AddressField::kLoadBalancer:
      return "loadBalancerIP";
    case AddressField::kExternalIp:
      return "externalIP";
  }
  return "";
}

std::string_view name_of(k8s::ServiceType type) {
  switch (type) {
    case k8s::ServiceType::kClusterIp:
      return "ClusterIP";
    case k8s::ServiceType::kNodePort:
      return "NodePort";
    case k8s::ServiceType::kLoadBalancer:
      return "LoadBalancer";
    case k8s::ServiceType::kExternalName:
      return "ExternalName";
  }
  return "";
}

std::string_view name_of(k8s::Protocol protocol) { return ipvs::name_of(to_ipvs(protocol)); }

// Why the virtual server is not what is wanted; "": it is.
std::string difference(const ServerView& server) {
  if (!server.wanted) return "not served here";
  if (!server.held) return "missing in the kernel";
  const ipvs::VirtualServer& wanted = server.wanted->settings;
  const ipvs::VirtualServer& held = server.held->settings;
  if (wanted.scheduler != held.scheduler) return "scheduler " + held.scheduler;
  if (wanted.flags != (held.flags & ~ipvs::kFlagHashed)) return "other flags";
  if (wanted.timeout_seconds != held.timeout_seconds) return "another persistence timeout";
  std::size_t missing = 0, weights = 0, more = 0;
  // Both are ordered by endpoint.
  const auto& have = server.held->destinations;
  auto next = have.begin();
  const auto skip = [&](const auto& is_before) {
    for (; next != have.end() && is_before(next->destination); ++next) {
      more += next->destination.weight != 0;
    }
  };
  for (const ipvs::Destination& each : server.wanted->destinations) {
    skip([&](const ipvs::Destination& other) { return other.endpoint < each.endpoint; });
    if (next == have.end() || next->destination.endpoint != each.endpoint) {
      ++missing;
    } else {
      weights += next->destination.weight != each.weight;
      ++next;
    }
  }
  skip([](const ipvs::Destination&) { return true; });
  if (missing + weights + more == 0) return "";
  return std::to_string(missing) + " endpoints missing, " + std::to_string(weights) +
         " other weights, " + std::to_string(more) + " not wanted";
}

json::object to_json(const ServerView& server) {
  json::object object;
  object["server"] = server.key.text();
  object["field"] = server.field;
  if (server.wanted) {
    object["scheduler"] = server.wanted->settings.scheduler;
    if (server.wanted->settings.timeout_seconds != 0) {
      object["persistenceSeconds"] = server.wanted->settings.timeout_seconds;
    }
    object["wantedDestinations"] = server.wanted->destinations.size();
  }
  if (server.held) {
    object["destinations"] = server.held->destinations.size();
    object["counters"] = agent::to_json(server.held->counters);
  }
  const std::string differs = difference(server);
  object["equal"] = differs.empty();
  if (!differs.empty()) object["difference"] = differs;
  return object;
}

template <typename Addresses>
json::array texts(const Addresses& addresses) {
  json::array all;
  for (const auto& each : addresses) all.push_back(json::value(each.to_string()));
  return all;
}

json::object port_json(const k8s::ServicePort& port, const std::vector<ServerView>& servers) {
  json::object object;
  object["name"] = port.name;
  object["port"] = port.port;
  object["protocol"] = name_of(port.protocol);
  if (port.node_port != 0) object["nodePort"] = port.node_port;
  json::array views;
  for (const ServerView& each : servers) views.push_back(to_json(each));
  object["servers"] = std::move(views);
  return object;
}

// How many rows are in each state.
json::object state_counts(const std::deque<EndpointRow>& rows) {
  std::map<std::string_view, std::size_t> states;
  for (const EndpointRow& row : rows) ++states[agent::name_of(row.state)];
  json::object counts;
  for (const auto& [state, count] : states) counts[state] = count;
  return counts;
}

// A port of a Service whose endpoints are asked for: its virtual servers as of one moment, whatever
// becomes wanted meanwhile.
struct AskedPort {
  std::string name;  // or its number
  std::vector<ServerView> servers;
  std::deque<ipvs::Server> wanted{};  // to which `servers` points

  AskedPort(const k8s::ServicePort& port, std::vector<ServerView> views)
      : name(port.name.empty() ? std::to_string(port.port) : port.name), servers(std::move(views)) {
    for (ServerView& each : servers) {
      if (each.wanted) each.wanted = &wanted.emplace_back(*each.wanted);
    }
  }
};

// Up to and without the first item of a list.
std::string list_head(const std::string& kind) {
  return R"({"kind":")" + kind + R"(","apiVersion":")" + kApiVersion + R"(","items":[)";
}

// The next that are wanted or bound, in their order.
std::vector<ipvs::Address> addresses_after(const ipvs::Desired& desired, const ipvs::Ledger& ledger,
                                           const std::optional<ipvs::Address>& after) {
  const std::vector<ipvs::Address> wanted = desired.addresses_after(after, kAddressesAtOnce);
  std::vector<ipvs::Address> bound, all;
  const std::set<ipvs::Address>& held = ledger.addresses();
  auto next = after ? held.upper_bound(*after) : held.begin();
  for (; next != held.end() && bound.size() < kAddressesAtOnce; ++next) bound.push_back(*next);
  std::set_union(wanted.begin(), wanted.end(), bound.begin(), bound.end(), std::back_inserter(all));
  if (all.size() > kAddressesAtOnce) all.resize(kAddressesAtOnce);
  return all;
}

json::object vip_json(const ipvs::Address& address, const ipvs::Desired& desired,
                      const ipvs::Ledger& ledger) {
  const std::string owner(desired.some_owner_of(address));
  const bool is_bound = ledger.holds(address);
  json::object item{{"address", address.to_string()},
                    {"wanted", !owner.empty()},
                    {"bound", is_bound},
                    {"equal", is_bound == !owner.empty()}};
  if (!owner.empty()) item["service"] = owner;
  return item;
}

// With auto, between the two numbers of ipvs/state/binding.hpp it may be either: addresses, then.
bool are_routed(config::VipBinding binding, const ipvs::Ledger& held) {
  if (binding != config::VipBinding::kAuto) return binding == config::VipBinding::kRoute;
  return ipvs::chosen_binding(held.addresses().size(), ipvs::VipBinding::kAddress) ==
         ipvs::VipBinding::kRoute;
}

}  // namespace

json::object Answers::status() const {
  const Reconciler& reconciler = parts_.sync.reconciler();
  const auto now = std::chrono::steady_clock::now();
  StatusInputs inputs{
      .node = parts_.config.node_name,
      .version = config::kVersion,
      .source = parts_.source_name,
      .started = rfc3339(started_),
      .now = rfc3339(std::chrono::system_clock::now()),
      .health_reasons = parts_.health.judge(HealthQuestion::kHealthy).reasons,
      .kinds = parts_.source.counters(),
      .services = parts_.cluster.services().size(),
      .pods = parts_.cluster.endpoints().pod_count(),
      .slices = parts_.cluster.endpoints().slice_count(),
      .pending = parts_.sync.pending(),
      .wanted = {reconciler.desired().server_count(), reconciler.desired().destination_count(),
                 reconciler.desired().address_count()},
      .held = {reconciler.ledger().server_count(), reconciler.ledger().destination_count(),
               reconciler.ledger().addresses().size()},
      .refused = reconciler.failed_count(),
      .foreign_servers = reconciler.foreign_count(),
      .repaired = parts_.reporter.repaired(),
      .conditions = parts_.conditions.value(),
      .dropping_chains = {parts_.forwarding.warnings().begin(), parts_.forwarding.warnings().end()},
      .kube_proxy_chains = parts_.kube_proxy.chains_left(),
      .kube_proxy_sets = parts_.kube_proxy.sets_left(),
      .kube_proxy_runs = parts_.kube_proxy.runs(),
      .drained_by_hand = drains_json(parts_.cluster.hand_drains())};
  if (!parts_.health.is_ready()) inputs.awaited = parts_.health.awaited();
  if (parts_.reporter.last_sync() != SyncReporter::WallClock::time_point{}) {
    inputs.last_pass = rfc3339(parts_.reporter.last_sync());
  }
  const Audit& comparison = parts_.sync.comparison();
  if (const auto ended = comparison.round_ended()) inputs.last_compared = rfc3339(*ended, now);
  const std::size_t left = comparison.left_in_round();
  inputs.audited = left > inputs.held.servers || left == 0 ? 0 : inputs.held.servers - left;
  const NodeDigest::Values digest = parts_.digest.read();
  inputs.digest = digest_text(digest.current);
  inputs.programmed_version = digest.version;
  inputs.is_settled = digest.is_settled;
  for (const auto& [service, of] : parts_.sync.draining()) {
    inputs.draining.push_back({service, of.destinations, of.connections});
  }
  return status_json(inputs);
}

json::object Answers::conditions() const {
  json::object all = parts_.conditions.value();
  all["kind"] = "Conditions";
  all["apiVersion"] = kApiVersion;
  return all;
}

template <typename Make>
json::object Answers::about_packet(const Question& question, Make make) const {
  const ipvs::TableRules planned = parts_.cluster.table_rules();
  const ipvs::TableRules* installed = parts_.sync.installed_rules();
  const Reconciler& reconciler = parts_.sync.reconciler();
  const ExplainView view{
      .cluster = parts_.cluster,
      .config = parts_.config,
      .ledger = reconciler.ledger(),
      .desired = reconciler.desired(),
      .rules = installed ? *installed : planned,
      .foreign = reconciler.foreign(),
      .forward_chains = parts_.forwarding.unattended_chains(),
      .vips_are_routed = are_routed(parts_.config.vip_binding, reconciler.ledger())};
  const auto made = make(question, view);
  constexpr int kWrong = 400, kMissing = 404;
  if (!made) {
    throw QuestionFault{.status = made.error().is_missing ? kMissing : kWrong,
                        .what = made.error().what};
  }
  return to_json(*made);
}

json::object Answers::explain(const Question& question) const {
  return about_packet(question, agent::explain);
}

json::object Answers::next(const Question& question) const {
  return about_packet(question, next_commands);
}

asio::awaitable<void> Answers::write_vips(BodyWriter write) const {
  const Reconciler& reconciler = parts_.sync.reconciler();
  co_await write(list_head("VIPList"));
  std::optional<ipvs::Address> after;
  for (bool more = true; more;) {
    const std::vector<ipvs::Address> some =
        addresses_after(reconciler.desired(), reconciler.ledger(), after);
    std::string text;
    for (const ipvs::Address& address : some) {
      if (after || &address != some.data()) text += ',';
      text += json::serialize(vip_json(address, reconciler.desired(), reconciler.ledger()));
    }
    if (!some.empty()) after = some.back();
    more = some.size() == kAddressesAtOnce;
    co_await write(text);
    co_await k8s::let_others_run();
  }
  co_await write("]}\n");
}

bool Answers::has(const ServiceQuery& query) const {
  if (query.name.empty()) return true;
  const ServiceTable& services = parts_.cluster.services();
  if (!query.ns.empty()) return services.find({.ns = query.ns, .name = query.name}) != nullptr;
  bool found = false;
  services.for_each([&](const k8s::Service& service) { found = found || query.matches(service); });
  return found;
}

asio::awaitable<void> Answers::write_services(ServiceQuery query, bool with_endpoints,
                                              BodyWriter write) const {
  co_await write(list_head(with_endpoints ? "EndpointList" : "ServiceList"));
  k8s::ObjectKey after;
  bool is_first = true;
  for (bool more = true; more;) {
    // By key: a Service may change or go between two steps.
    std::vector<k8s::ObjectKey> keys;
    more = parts_.cluster.services().for_some_after(after, kServicesAtOnce,
                                                    [&](const k8s::Service& service) {
                                                      if (query.matches(service))
                                                        keys.push_back(service.meta.key);
                                                    });
    for (const k8s::ObjectKey& key : keys) {
      const k8s::Service* found = parts_.cluster.services().find(key);
      if (!found) continue;
      Item item = co_await item_of(*found);
      if (!std::exchange(is_first, false)) co_await write(",");
      co_await write_item(std::move(item), with_endpoints, write);
    }
    co_await k8s::let_others_run();
  }
  co_await write("]}\n");
}

// Blocks are read on the kernel thread, one at a time: that is where lines are added.
asio::awaitable<void> Answers::write_history(std::string service, UnixMilliseconds since,
                                             BodyWriter write) const {
  co_await write(list_head("History"));
  HistoryRecorder::Place place;
  bool is_first = true;
  for (bool more = true; more;) {
    std::string text;
    more = co_await parts_.thread.run([&] {
      return parts_.history.read_some(place, [&](HistoryEntry&& entry) {
        if (entry.at < since || (!service.empty() && entry.service != service)) return;
        if (!std::exchange(is_first, false)) text += ',';
        text += json::serialize(agent::to_json(entry));
      });
    });
    co_await write(text);
  }
  co_await write("]}\n");
}

Answers::Present Answers::present_of(const std::string& service) const {
  Present present;
  const ipvs::Ledger& held = parts_.sync.reconciler().ledger();
  for (const ipvs::ServerKey& key : parts_.sync.reconciler().desired().servers_of(service)) {
    if (held.holds(key.address)) present.bound.insert(key.address);
    if (const ipvs::Server* server = held.server(key)) present.servers.push_back(*server);
  }
  return present;
}

asio::awaitable<Answers::Past> Answers::read_past(const std::string& service,
                                                  UnixMilliseconds at) const {
  Past past;
  HistoryRecorder::Place place;
  const auto take = [&](HistoryEntry&& entry) {
    if (entry.at <= at) {
      past.is_known = true;
    } else if (entry.command == "START") {
      past.is_broken = true;
    } else if (entry.service == service) {
      ++past.operations;
      if (!past.table.note(std::move(entry))) past.is_too_long = true;
    }
  };
  for (bool more = true; more;) {
    more = co_await parts_.thread.run([&] { return parts_.history.read_some(place, take); });
  }
  co_return past;
}

asio::awaitable<void> Answers::add_present(const Present& present, PastTable& table) const {
  for (const ipvs::Address& address : present.bound) table.add({address.to_string(), ""}, "bound");
  for (const ipvs::Server& server : present.servers) {
    const std::string object = server.settings.key.text();
    table.add({object, ""}, state_text(server.settings));
    std::size_t in_step = 0;
    for (const ipvs::Destination& each : server.destinations) {
      table.add({object, each.endpoint.text()}, state_text(each));
      if (++in_step % kEndpointsAtOnce == 0) co_await k8s::let_others_run();
    }
  }
}

asio::awaitable<void> Answers::write_table(std::string service, UnixMilliseconds at,
                                           BodyWriter write) const {
  // Before the history is read: what is done meanwhile is in it, and so it does not count.
  const Present present = present_of(service);
  Past past = co_await read_past(service, at);
  co_await add_present(present, past.table);
  json::object head{{"kind", "Table"},
                    {"apiVersion", kApiVersion},
                    {"service", service},
                    {"at", time_text(at)},
                    {"operationsSince", past.operations}};
  if (past.is_too_long) {
    head["warning"] =
        "more than 50,000 objects have changed since then: of some the state is today's";
  } else if (past.is_broken) {
    head["warning"] =
        "the agent started since then with a large table: what that changed is not known";
  } else if (!past.is_known) {
    head["warning"] = "the history does not reach back to that time";
  }
  std::string text = json::serialize(head);
  text.pop_back();
  text += R"(,"items":[)";
  bool is_first = true;
  for (bool more = true; more;) {
    more = past.table.take_some(kEndpointsAtOnce,
                                [&](const PastTable::Key& key, const std::string& state) {
                                  json::object row{{"object", key.first}, {"state", state}};
                                  if (!key.second.empty()) row["endpoint"] = key.second;
                                  if (!std::exchange(is_first, false)) text += ',';
                                  text += json::serialize(row);
                                });
    co_await write(std::exchange(text, {}));
    co_await k8s::let_others_run();
  }
  co_await write("]}\n");
}

asio::awaitable<void> Answers::write_item(Item item, bool with_endpoints, BodyWriter write) const {
  std::string text = json::serialize(item.service);
  if (with_endpoints) {
    text.pop_back();
    text += ",\"endpoints\":[";
    std::size_t in_piece = 0;
    while (!item.endpoints.empty()) {
      text += json::serialize(agent::to_json(item.endpoints.front()));
      item.endpoints.pop_front();
      if (!item.endpoints.empty()) text += ',';
      if (++in_piece < kEndpointsAtOnce) continue;
      co_await write(std::exchange(text, {}));
      co_await k8s::let_others_run();
      in_piece = 0;
    }
    text += "]}";
  }
  co_await write(text);
}

asio::awaitable<Answers::Held> Answers::read_held(const std::vector<ipvs::ServerKey>& keys) const {
  Held held;
  for (std::size_t first = 0; first < keys.size(); first += kDumpsAtOnce) {
    const std::vector<ipvs::ServerKey> some(
        keys.begin() + static_cast<std::ptrdiff_t>(first),
        keys.begin() + static_cast<std::ptrdiff_t>(std::min(first + kDumpsAtOnce, keys.size())));
    auto readings = co_await parts_.thread.run([&] { return parts_.kernel.read_servers(some); });
    held.is_unread = held.is_unread || !readings;
    if (!readings) continue;
    for (ipvs::ServerReading& each : *readings) {
      const ipvs::ServerKey key = each.settings.key;
      held.servers.insert_or_assign(key, std::move(each));
    }
  }
  co_return held;
}

std::vector<ServerView> Answers::views_of(const k8s::Service& service, const k8s::ServicePort& port,
                                          const Held& held) const {
  const ipvs::Desired& desired = parts_.sync.reconciler().desired();
  std::vector<ServerView> servers;
  for (const Entrance& entrance : entrances_of(service, port, parts_.cluster.node_view())) {
    ServerView view{.key = {entrance.address, entrance.port, to_ipvs(port.protocol)},
                    .field = std::string(name_of(entrance.field)),
                    .local_only = entrance.local_only};
    const ipvs::Owner* owner = desired.owner_of(view.key);
    if (owner && *owner == service.meta.key.text()) view.wanted = desired.server(view.key);
    const auto at = held.servers.find(view.key);
    if (at != held.servers.end()) view.held = &at->second;
    servers.push_back(std::move(view));
  }
  return servers;
}

// What is known of its endpoints at one moment. Begins again when that changes meanwhile, but not for
// ever: then all is collected in one step.
asio::awaitable<ServiceFacts> Answers::facts_of(const k8s::Service& service) const {
  constexpr int kAttempts = 3;
  const EndpointTable& table = parts_.cluster.endpoints();
  for (int attempt = 0;; ++attempt) {
    const std::uint64_t changes = table.changes();
    const bool in_steps = attempt < kAttempts;
    const std::size_t most = in_steps ? kEndpointsAtOnce : std::numeric_limits<std::size_t>::max();
    ServiceFacts facts(service.ports.size());
    EndpointTable::FactsPlace place;
    bool more = table.add_facts(service, place, most, facts);
    while (more && table.changes() == changes) {
      if (in_steps) co_await k8s::let_others_run();
      if (table.changes() == changes) more = table.add_facts(service, place, most, facts);
    }
    if (!more) co_return facts;
  }
}

asio::awaitable<void> Answers::add_rows(EndpointRows& rows, const std::string& port,
                                        std::deque<EndpointRow>& all) const {
  for (bool more = true; more;) {
    const std::size_t first = all.size();
    more = rows.next(kEndpointsAtOnce, all);
    for (std::size_t i = first; i < all.size(); ++i) all[i].port = port;
    if (more) co_await k8s::let_others_run();
  }
}

// On the kernel thread, where the history is written.
asio::awaitable<void> Answers::add_clocks(const std::string& owner,
                                          std::deque<EndpointRow>& rows) const {
  for (std::size_t first = 0; first < rows.size(); first += kEndpointsAtOnce) {
    const std::size_t end = std::min(first + kEndpointsAtOnce, rows.size());
    co_await parts_.thread.run([&] {
      for (std::size_t i = first; i < end; ++i) {
        const EndpointClock* clock = parts_.history.clock_of(owner, rows[i].endpoint.text());
        if (clock) rows[i].clock = *clock;
      }
      return true;
    });
  }
}

asio::awaitable<Answers::Item> Answers::item_of(k8s::Service service) const {
  const std::string owner = service.meta.key.text();
  const bool is_served = parts_.cluster.is_served(service);
  std::vector<ipvs::ServerKey> keys;
  if (is_served) {
    for (const ServerOfPort& each : servers_of(service, parts_.cluster.node_view())) {
      keys.push_back(each.key);
    }
  }
  // Of the same moment, as far as it can be had: the kernel is read in between.
  const EndpointTable& table = parts_.cluster.endpoints();
  ServiceFacts facts = co_await facts_of(service);
  const std::uint64_t changes = table.changes();
  const Held held = co_await read_held(keys);
  if (table.changes() != changes) facts = co_await facts_of(service);
  Item answer;
  json::object& item = answer.service;
  item["namespace"] = service.meta.key.ns;
  item["name"] = service.meta.key.name;
  item["type"] = name_of(service.type);
  item["clusterIPs"] = texts(service.cluster_ips);
  item["externalIPs"] = texts(external_addresses(service));
  item["served"] = is_served;
  if (held.is_unread) item["unread"] = "virtual servers";
  const auto refusals = parts_.sync.reconciler().failed().refusals();
  const std::uint32_t slow_start = parts_.cluster.service_options(service).slow_start_seconds;
  const HandDrains hand_drains = parts_.cluster.hand_drains();
  json::array ports;
  std::deque<AskedPort> asked;
  for (const k8s::ServicePort& port : service.ports) {
    std::vector<ServerView> servers;
    if (is_served) servers = views_of(service, port, held);
    ports.push_back(port_json(port, servers));
    asked.emplace_back(port, std::move(servers));
  }
  // Others are a name only, or another proxy's.
  for (std::size_t index = 0; is_served && index < asked.size(); ++index) {
    const EndpointQuestion question{.service = service,
                                    .servers = asked[index].servers,
                                    .refusals = refusals,
                                    .slow_start_seconds = slow_start,
                                    .hand_drains = hand_drains};
    EndpointRows rows(question, std::move(facts[index]));
    co_await add_rows(rows, asked[index].name, answer.endpoints);
  }
  item["ports"] = std::move(ports);
  item["endpointStates"] = state_counts(answer.endpoints);
  item["conditions"] = parts_.conditions.of(owner, refusals);
  co_await add_clocks(owner, answer.endpoints);
  co_return answer;
}

}  // namespace agent
