// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/service_answers.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "agent/answers/lists.hpp"
#include "agent/answers/service_json.hpp"
#include "agent/decide/entrances.hpp"
#include "k8s/async/let_others_run.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

// Services looked at in one step, and virtual servers read with their destinations by one job.
constexpr std::size_t kServicesAtOnce = 8;
constexpr std::size_t kDumpsAtOnce = 8;
constexpr std::size_t kEndpointsAtOnce = 64;

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

}  // namespace

bool ServiceAnswers::has(const ServiceQuery& query) const {
  if (query.name.empty()) return true;
  const ServiceTable& services = parts_.cluster.services();
  if (!query.ns.empty()) return services.find({.ns = query.ns, .name = query.name}) != nullptr;
  bool found = false;
  services.for_each([&](const k8s::Service& service) { found = found || query.matches(service); });
  return found;
}

asio::awaitable<void> ServiceAnswers::write(ServiceQuery query, bool with_endpoints,
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

asio::awaitable<void> ServiceAnswers::write_item(Item item, bool with_endpoints,
                                                 BodyWriter write) const {
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

asio::awaitable<ServiceAnswers::Held> ServiceAnswers::read_held(
    const std::vector<ipvs::ServerKey>& keys) const {
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

std::vector<ServerView> ServiceAnswers::views_of(const k8s::Service& service,
                                                 const k8s::ServicePort& port,
                                                 const Held& held) const {
  const ipvs::Desired& desired = parts_.sync.reconciler().desired();
  std::vector<ServerView> servers;
  for (const Entrance& entrance : entrances_of(service, port, parts_.cluster.node_view())) {
    ServerView view{.key = {entrance.address, entrance.port, to_ipvs(port.protocol)},
                    .field = std::string(field_name(entrance.field)),
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
asio::awaitable<ServiceFacts> ServiceAnswers::facts_of(const k8s::Service& service) const {
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

asio::awaitable<void> ServiceAnswers::add_rows(EndpointRows& rows, const std::string& port,
                                               std::deque<EndpointRow>& all) const {
  for (bool more = true; more;) {
    const std::size_t first = all.size();
    more = rows.next(kEndpointsAtOnce, all);
    for (std::size_t i = first; i < all.size(); ++i) all[i].port = port;
    if (more) co_await k8s::let_others_run();
  }
}

// On the kernel thread, where the history is written.
asio::awaitable<void> ServiceAnswers::add_clocks(const std::string& owner,
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

asio::awaitable<ServiceAnswers::Item> ServiceAnswers::item_of(k8s::Service service) const {
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
  item = service_json(service, is_served);
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
