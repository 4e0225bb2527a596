// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/observations.hpp"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "agent/answers/entrance_names.hpp"
#include "agent/answers/flow_sample.hpp"
#include "agent/answers/history_view.hpp"
#include "agent/decide/entrances.hpp"
#include "agent/log/log.hpp"
#include "config/printable.hpp"
#include "config/values.hpp"
#include "k8s/async/borrowed_descriptor.hpp"
#include "k8s/async/let_others_run.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostObservations = 2;
constexpr std::chrono::seconds kSecond{1};
// After so many events in one turn, the next are read together after a pause.
constexpr std::size_t kMany = 64;
constexpr std::chrono::milliseconds kPause{10};
constexpr int kNotFound = 404, kUnavailable = 503;

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::string now_text() {
  return time_text(std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count());
}

std::uint32_t number_of(const Parameters& parameters, const std::string& name,
                        std::uint32_t otherwise, std::uint32_t most) {
  const auto at = parameters.find(name);
  if (at == parameters.end()) return otherwise;
  const auto number = config::parse_number(at->second, 1, most);
  if (!number) {
    throw QuestionFault{.what = name + " " + config::printable_quoted(at->second) +
                                " is not a number from 1 to " + std::to_string(most)};
  }
  return static_cast<std::uint32_t>(*number);
}

std::string line(const json::object& object) { return json::serialize(object) + "\n"; }

}  // namespace

ObserveQuery observe_query(const Parameters& parameters) {
  constexpr std::uint32_t kLongest = 3600, kMostLines = 1000;
  const ServiceQuery named = service_query(parameters);
  if (named.name.empty()) throw QuestionFault{.what = "name is missing: of the Service"};
  return {.service = {.ns = named.ns.empty() ? "default" : named.ns, .name = named.name},
          .seconds = number_of(parameters, "for", 600, kLongest),
          .per_second = number_of(parameters, "rate", 50, kMostLines)};
}

class Observations::Observation {
 public:
  Observation(Observations& all_in, ObserveQuery query_in)
      : all(all_in),
        query(std::move(query_in)),
        sample({.per_second = query.per_second, .seed = random_seed()}),
        end(Clock::now() + std::chrono::seconds(query.seconds)) {
    all.under_way_.insert(this);
    all.limit_events();
  }
  ~Observation() {
    if (observer) {
      log_info("Connections are not observed any more",
               {{"service", object_name(query.service.text())}});
    }
    all.under_way_.erase(this);
    all.limit_events();
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  std::string start_line() const;
  // "": it is not shown.
  std::string event_line(const ipvs::FlowEvent& event);
  std::string rate_line(double seconds);

  Observations& all;
  const ObserveQuery query;
  FlowSample sample;
  const Clock::time_point end;
  std::vector<ipvs::ServerKey> servers;
  std::unique_ptr<ipvs::FlowObserver> observer;

 private:
  std::string name_of_client(const ipvs::Address& address) const;
};

std::string Observations::Observation::start_line() const {
  json::array entrances;
  const k8s::Service* service = all.cluster_.services().find(query.service);
  for (const k8s::ServicePort& port : service ? service->ports : std::vector<k8s::ServicePort>()) {
    for (const Entrance& each : entrances_of(*service, port, all.cluster_.node_view())) {
      entrances.push_back(json::object{{"address", ipvs::Endpoint{each.address, each.port}.text()},
                                       {"protocol", ipvs::name_of(to_ipvs(port.protocol))},
                                       {"field", name_of(each.field)},
                                       {"port", name_of(port)}});
    }
  }
  const auto facts = observer->facts();
  json::array notes;
  if (!facts.counts_bytes) {
    notes.push_back("bytes are not counted here: net.netfilter.nf_conntrack_acct is 0");
  }
  if (facts.limit == ipvs::EventLimit::kFiltered) {
    notes.push_back(json::string(
        "the kernel makes events of all connections, and those of others are dropped: " +
        facts.why));
  }
  return line({{"type", "start"},
               {"time", now_text()},
               {"service", query.service.text()},
               {"seconds", query.seconds},
               {"rate", query.per_second},
               {"entrances", std::move(entrances)},
               {"notes", std::move(notes)}});
}

// Pods on a host's network share its address: which of them it is, nobody knows.
std::string Observations::Observation::name_of_client(const ipvs::Address& address) const {
  const ClusterState& cluster = all.cluster_;
  if (address.is_loopback() || cluster.node_view().addresses.is_own(address)) return "this node";
  const bool is_entrance =
      std::any_of(servers.begin(), servers.end(),
                  [&](const ipvs::ServerKey& server) { return server.address == address; });
  if (is_entrance) return "this node";
  const auto pod = cluster.endpoints().find_pod_at(address);
  return pod && !pod->is_on_host_network ? pod->key.text() : std::string();
}

std::string Observations::Observation::event_line(const ipvs::FlowEvent& event) {
  const auto shown = sample.take(event, Clock::now());
  if (!shown) return {};
  json::object object{{"type", shown->is_end ? "ended" : "new"},
                      {"time", now_text()},
                      {"protocol", ipvs::name_of(event.key.protocol)},
                      {"client", event.key.client.text()}};
  const std::string client = name_of_client(event.key.client.address);
  if (!client.empty()) object["clientName"] = client;
  object["entrance"] = event.key.entrance.text();
  if (event.endpoint != event.key.entrance) {
    object["endpoint"] = event.endpoint.text();
    const std::string_view pod = all.cluster_.pod_at(event.endpoint.address, query.service);
    if (!pod.empty()) object["endpointPod"] = query.service.ns + "/" + std::string(pod);
  }
  if (!shown->is_end) return line(object);
  if (shown->seconds) object["seconds"] = *shown->seconds;
  const auto bytes = event.bytes ? event.bytes : observer->read_bytes(event);
  if (bytes) {
    object["bytesIn"] = bytes->in;
    object["bytesOut"] = bytes->out;
  }
  object["how"] = event.is_reset                                 ? "reset"
                  : event.kind == ipvs::FlowEvent::Kind::kClosed ? "closed"
                                                                 : "forgotten";
  return line(object);
}

std::string Observations::Observation::rate_line(double seconds) {
  const FlowSample::Second second = sample.end_second(seconds);
  if (second.one_of == 1) return {};
  return line({{"type", "rate"},
               {"time", now_text()},
               {"new", second.begun},
               {"ended", second.ended},
               {"shown", second.shown},
               {"oneOf", second.one_of}});
}

// Of several observations none may take the events from the connections of another.
void Observations::limit_events() {
  for (Observation* each : under_way_) {
    if (each->observer) each->observer->allow_only_these(under_way_.size() == 1);
  }
}

std::vector<ipvs::ServerKey> Observations::servers_of_service(const k8s::ObjectKey& key) const {
  std::vector<ipvs::ServerKey> keys;
  const k8s::Service* service = cluster_.services().find(key);
  if (!service || !cluster_.is_served(*service)) return keys;
  for (const ServerOfPort& each : servers_of(*service, cluster_.node_view())) {
    keys.push_back(each.key);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

asio::awaitable<HttpAnswer> Observations::answer(ObserveQuery query) {
  const std::string name = query.service.text();
  if (!cluster_.services().find(query.service)) {
    throw QuestionFault{.status = kNotFound, .what = "there is no Service " + name};
  }
  std::vector<ipvs::ServerKey> servers = servers_of_service(query.service);
  if (servers.empty()) {
    throw QuestionFault{.status = kNotFound,
                        .what = "Service " + name + " has no address that is served here"};
  }
  if (under_way_.size() >= kMostObservations) {
    throw QuestionFault{.status = kUnavailable,
                        .what = "two observations are under way: try again when one has ended"};
  }
  auto observation = std::make_shared<Observation>(*this, std::move(query));
  observation->servers = std::move(servers);
  auto opened =
      co_await thread_.run([&] { return kernel_.open_flow_observer(observation->servers); });
  if (!opened) {
    throw QuestionFault{.status = kUnavailable, .what = opened.error().text()};
  }
  observation->observer = std::move(*opened);
  limit_events();
  log_info("Connections are observed", {{"service", object_name(name)}});
  co_return HttpAnswer{
      .content_type = "application/x-ndjson",
      .headers = {{"X-Content-Type-Options", "nosniff"}},
      .stream = [this,
                 observation](BodyWriter write) { return run(observation, std::move(write)); },
      .is_open_ended = true};
}

// The Service may get other addresses and ports. The result is why the observation ends; "": it goes on.
asio::awaitable<std::string> Observations::follow_service(Observation& observation) {
  std::vector<ipvs::ServerKey> servers = servers_of_service(observation.query.service);
  if (servers.empty()) co_return "the Service is not served here any more";
  if (servers == observation.servers) {
    observation.observer->check();
    co_return std::string();
  }
  observation.servers = std::move(servers);
  const auto set =
      co_await thread_.run([&] { return observation.observer->set_servers(observation.servers); });
  co_return set ? std::string() : set.error().text();
}

asio::awaitable<void> Observations::run(Pointer observation, BodyWriter write) {
  using namespace asio::experimental::awaitable_operators;
  const auto executor = co_await asio::this_coro::executor;
  ipvs::FlowObserver& observer = *observation->observer;
  co_await write(observation->start_line());
  k8s::BorrowedDescriptor events(executor, observer.fd());
  asio::steady_timer tick(executor);
  auto second = Clock::now();
  while (true) {
    tick.expires_at(std::min(second + kSecond, observation->end));
    co_await (
        events.readable.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable) ||
        tick.async_wait(asio::use_awaitable));
    std::string text;
    std::size_t count = 0;
    const auto drained = observer.drain([&](const ipvs::FlowEvent& event) {
      ++count;
      text += observation->event_line(event);
    });
    if (drained.lost) text += line({{"type", "lost"}, {"time", now_text()}});
    const auto now = Clock::now();
    std::string why = now >= observation->end ? "its time is over" : "";
    if (now >= second + kSecond) {
      text += observation->rate_line(std::chrono::duration<double>(now - second).count());
      second = now;
      const std::string fault = co_await follow_service(*observation);
      if (why.empty()) why = fault;
    }
    const bool is_over = !why.empty();
    if (is_over) text += line({{"type", "end"}, {"time", now_text()}, {"why", why}});
    co_await write(text);
    if (is_over) co_return;
    if (drained.more) {
      co_await k8s::let_others_run();
    } else if (count > kMany) {
      asio::steady_timer pause(executor, kPause);
      co_await pause.async_wait(asio::use_awaitable);
    }
  }
}

}  // namespace agent
