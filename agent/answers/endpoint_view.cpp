// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/endpoint_view.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>
#include <variant>

#include "agent/answers/history_view.hpp"
#include "agent/decide/service_options.hpp"
#include "agent/report/time_text.hpp"

namespace agent {
namespace {

namespace json = boost::json;

// What the virtual servers of a port say of one endpoint.
struct InKernel {
  bool is_wanted = false, is_held = false;
  bool lacks = false;  // a virtual server that wants it does not have it
  std::uint32_t wanted_weight = 0, weight = 0;
};

void add(ipvs::Counters& sum, const ipvs::Counters& more) {
  sum.connections += more.connections;
  sum.packets_in += more.packets_in;
  sum.packets_out += more.packets_out;
  sum.bytes_in += more.bytes_in;
  sum.bytes_out += more.bytes_out;
}

// `list` is ordered by endpoint.
template <typename List, typename EndpointOf>
auto find(const List& list, const ipvs::Endpoint& endpoint, EndpointOf endpoint_of) {
  const auto at = std::lower_bound(
      list.begin(), list.end(), endpoint,
      [&](const auto& each, const ipvs::Endpoint& wanted) { return endpoint_of(each) < wanted; });
  return at != list.end() && endpoint_of(*at) == endpoint ? at : list.end();
}

InKernel look(const EndpointQuestion& question, EndpointRow& row) {
  InKernel found;
  for (const ServerView& server : question.servers) {
    if (ipvs::family_of(server.key.address) != ipvs::family_of(row.endpoint.address)) continue;
    bool is_wanted = false;
    if (server.wanted) {
      const auto& list = server.wanted->destinations;
      const auto at = find(list, row.endpoint, [](const auto& d) { return d.endpoint; });
      is_wanted = at != list.end();
      if (is_wanted) found.wanted_weight = std::max(found.wanted_weight, at->weight);
      found.is_wanted = found.is_wanted || is_wanted;
    }
    bool is_held = false;
    if (server.wanted && server.held) {
      const auto& list = server.held->destinations;
      const auto at =
          find(list, row.endpoint, [](const auto& d) { return d.destination.endpoint; });
      is_held = at != list.end();
      if (is_held) {
        found.weight = std::max(found.weight, at->destination.weight);
        row.active_connections += at->active_connections;
        row.inactive_connections += at->inactive_connections;
        add(row.counters, at->counters);
      }
      found.is_held = found.is_held || is_held;
    }
    found.lacks = found.lacks || (is_wanted && !is_held);
  }
  return found;
}

const Retries::Refusal* refusal_of(const EndpointQuestion& question,
                                   const ipvs::Endpoint& endpoint) {
  const std::string end = "-> " + endpoint.text();
  for (const Retries::Refusal& refusal : question.refusals) {
    const auto* key = std::get_if<ipvs::ServerKey>(&refusal.failure.key);
    if (!key || !refusal.failure.what.ends_with(end)) continue;
    const auto is_it = [key](const ServerView& server) { return server.key == *key; };
    if (std::any_of(question.servers.begin(), question.servers.end(), is_it)) return &refusal;
  }
  return nullptr;
}

std::string object_of(const EndpointFacts& facts) {
  return (facts.from_pod ? "Pod " : "EndpointSlice ") + facts.object.text();
}

Why readiness(const EndpointFacts& facts) {
  const ServiceEndpoint& e = facts.endpoint;
  if (facts.from_pod) {
    return {.object = object_of(facts),
            .field = "status.conditions[Ready]",
            .value = e.serving ? "True" : "False",
            .since = facts.readiness_changed,
            .note = e.serving ? "the Pod is ready" : "the Pod is not ready"};
  }
  return {.object = object_of(facts),
          .field = "endpoints[" + e.endpoint.address.to_string() + "].conditions.ready",
          .value = e.ready ? "true" : "false",
          .note = e.ready ? "the slice says ready" : "the slice says not ready"};
}

Why deletion(const EndpointFacts& facts) {
  if (!facts.from_pod) {
    return {.object = object_of(facts),
            .field = "endpoints[" + facts.endpoint.endpoint.address.to_string() +
                     "].conditions.terminating",
            .value = "true",
            .note = "the slice says terminating"};
  }
  return {.object = object_of(facts),
          .field = "metadata.deletionTimestamp",
          .value = "set, grace period " + std::to_string(facts.deletion_grace) + " s",
          .since = facts.deletion_requested,
          .note = "the Pod is being deleted"};
}

bool all_local_only(const EndpointQuestion& question) {
  return !question.servers.empty() &&
         std::all_of(question.servers.begin(), question.servers.end(),
                     [](const ServerView& server) { return server.local_only; });
}

bool has_family(const EndpointQuestion& question, ipvs::Family family) {
  return std::any_of(
      question.servers.begin(), question.servers.end(),
      [&](const ServerView& server) { return ipvs::family_of(server.key.address) == family; });
}

// Of one that is a candidate and not wanted.
Why why_out(const EndpointQuestion& question, const EndpointFacts& facts, bool others_are_ready) {
  const ServiceEndpoint& e = facts.endpoint;
  const std::string service = "Service " + question.service.meta.key.text();
  if (facts.finished) {
    return {.object = object_of(facts),
            .field = "status.phase",
            .value = "Succeeded or Failed",
            .note = "the Pod has finished"};
  }
  if (!e.ready && e.terminating && e.serving && others_are_ready) {
    Why why = deletion(facts);
    why.note += ", and others are ready";
    return why;
  }
  if (!e.ready && e.terminating) return deletion(facts);
  if (!e.ready) return readiness(facts);
  if (question.servers.empty()) {
    return {.object = service, .field = "spec", .note = "no address of the Service is served here"};
  }
  if (!has_family(question, ipvs::family_of(e.endpoint.address))) {
    const bool is_ipv4 = ipvs::family_of(e.endpoint.address) == ipvs::Family::kIpv4;
    return {
        .object = service,
        .field = "spec.clusterIPs",
        .note = is_ipv4 ? "the Service has no IPv4 address" : "the Service has no IPv6 address"};
  }
  if (!e.local && all_local_only(question)) {
    return {.object = service,
            .field = "spec.internalTrafficPolicy, spec.externalTrafficPolicy",
            .value = "Local",
            .note = facts.node.empty() ? "it is not on this node" : "it is on node " + facts.node};
  }
  const auto elsewhere = [](Hint hint) { return hint == Hint::kElsewhere; };
  if (elsewhere(e.node_hint) || elsewhere(e.zone_hint)) {
    return {.object = facts.from_pod ? service : object_of(facts),
            .field = facts.from_pod ? "spec.trafficDistribution" : "endpoints[].hints",
            .value = facts.from_pod ? question.service.traffic_distribution : "elsewhere",
            .note = "endpoints that are nearer to this node are ready"};
  }
  return {
      .object = service, .field = "", .note = "not served here: see the conditions of the Service"};
}

Why by_hand(const HandDrain& drain) {
  std::string note = "drained by hand";
  if (!drain.by.empty()) note += " by " + drain.by;
  if (!drain.reason.empty()) note += ": " + drain.reason;
  return {.object = "kube-ipvs drain",
          .field = drained_text(drain.endpoint),
          .value = drain.until
                       ? "until " + rfc3339(std::chrono::system_clock::from_time_t(*drain.until))
                       : "until undrain",
          .since = drain.since,
          .note = std::move(note)};
}

Why why_drained(const EndpointFacts* facts) {
  if (!facts) return {.note = "its object is gone, and connections are open"};
  if (facts->endpoint.terminating) return deletion(*facts);
  if (facts->endpoint.ready && facts->endpoint.weight == 0) {
    return {.object = object_of(*facts),
            .field = "metadata.annotations[kube-ipvs.io/weight]",
            .value = "0",
            .note = "its weight is 0"};
  }
  if (facts->endpoint.ready) return {.note = "this node does not want it any more"};
  return readiness(*facts);
}

// It has got packets of TCP since it was added, and not one came back. A UDP client may want none.
bool is_silent(const EndpointQuestion& question, const ipvs::Counters& counters) {
  constexpr std::uint64_t kFew = 3;  // a first one may be on its way
  return counters.packets_in >= kFew && counters.packets_out == 0 && !question.servers.empty() &&
         question.servers.front().key.protocol == ipvs::Protocol::kTcp;
}

void decide(const EndpointQuestion& question, const EndpointFacts* facts, bool others_are_ready,
            const InKernel& found, EndpointRow& row) {
  row.wanted_weight = found.wanted_weight;
  row.weight = found.weight;
  if (const Retries::Refusal* refusal = refusal_of(question, row.endpoint)) {
    row.state = EndpointState::kRefused;
    row.why = {.object = "Service " + question.service.meta.key.text(),
               .field = refusal->failure.command,
               .value = refusal->failure.text(),
               .note = "the kernel refuses it"};
  } else if (found.is_held && found.weight == 0) {
    row.state = EndpointState::kDraining;
    const HandDrain* drain = question.hand_drains.find(row.endpoint);
    row.why = drain ? by_hand(*drain) : why_drained(facts);
  } else if (found.is_wanted && found.lacks && !found.is_held) {
    row.state = EndpointState::kPending;
    row.why = {.note = "the kernel does not have it yet"};
  } else if (found.is_wanted) {
    const std::uint32_t full = facts ? facts->endpoint.weight * 100 : 0;
    const bool ramps = question.slow_start_seconds != 0 && found.weight < full;
    row.state = ramps ? EndpointState::kRamping : EndpointState::kServing;
    if (facts) row.why = facts->endpoint.terminating ? deletion(*facts) : readiness(*facts);
    if (facts && facts->endpoint.terminating) row.why.note += "; no endpoint is ready";
    if (is_silent(question, row.counters)) {
      row.why.note += "; none of its " + std::to_string(row.counters.connections) +
                      " connections has got a packet back";
    }
    if (ramps)
      row.why.note += "; slow start of " + std::to_string(question.slow_start_seconds) + " s";
  } else if (found.is_held) {
    row.state = EndpointState::kExtra;
    row.why = {.note = "no Service wants it any more"};
  } else if (facts) {
    row.state = EndpointState::kOut;
    row.why = why_out(question, *facts, others_are_ready);
  }
}

}  // namespace

std::string_view name_of(EndpointState state) {
  constexpr std::array<std::string_view, 7> kNames = {"serving", "ramping", "draining", "refused",
                                                      "pending", "out",     "extra"};
  return kNames[static_cast<std::size_t>(state)];
}

EndpointRows::EndpointRows(const EndpointQuestion& question, Candidates candidates)
    : question_(question), candidates_(std::move(candidates)) {}

EndpointRow EndpointRows::row_of(const ipvs::Endpoint& endpoint, const EndpointFacts* facts) const {
  EndpointRow row{.endpoint = endpoint};
  if (facts) {
    if (!facts->pod.empty()) row.pod = facts->object.ns + "/" + facts->pod;
    row.node = facts->node;
    row.is_local = facts->endpoint.local;
  }
  const InKernel found = look(question_, row);
  decide(question_, facts, candidates_.any_ready(ipvs::family_of(endpoint.address)), found, row);
  return row;
}

// The first after the last row that a virtual server holds.
std::optional<ipvs::Endpoint> EndpointRows::next_held() const {
  std::optional<ipvs::Endpoint> first;
  for (const ServerView& server : question_.servers) {
    if (!server.wanted || !server.held) continue;
    const auto& held = server.held->destinations;
    const auto is_done = [this](const ipvs::DestinationReading& each) {
      return last_ && each.destination.endpoint <= *last_;
    };
    const auto at = std::partition_point(held.begin(), held.end(), is_done);
    if (at != held.end() && (!first || at->destination.endpoint < *first)) {
      first = at->destination.endpoint;
    }
  }
  return first;
}

bool EndpointRows::next(std::size_t most, std::deque<EndpointRow>& rows) {
  for (; most > 0; --most) {
    const std::optional<ipvs::Endpoint> held = next_held();
    const ipvs::Endpoint* candidate = candidates_.first();
    if (!held && !candidate) return false;
    if (candidate && (!held || *candidate <= *held)) {
      const EndpointFacts facts = candidates_.take_first();
      last_ = facts.endpoint.endpoint;
      rows.push_back(row_of(*last_, &facts));
    } else {
      last_ = held;
      rows.push_back(row_of(*last_, nullptr));
    }
  }
  return true;
}

std::deque<EndpointRow> endpoint_rows(const EndpointQuestion& question, Candidates candidates) {
  std::deque<EndpointRow> rows;
  EndpointRows all(question, std::move(candidates));
  while (all.next(std::numeric_limits<std::size_t>::max(), rows)) continue;
  return rows;
}

json::object to_json(const Why& why) {
  json::object object;
  if (!why.object.empty()) object["object"] = why.object;
  if (!why.field.empty()) object["field"] = why.field;
  if (!why.value.empty()) object["value"] = why.value;
  if (why.since != 0) {
    object["since"] = rfc3339(std::chrono::system_clock::from_time_t(why.since));
  }
  object["note"] = why.note;
  return object;
}

json::object to_json(const ipvs::Counters& counters) {
  return {{"connections", counters.connections},
          {"packetsIn", counters.packets_in},
          {"packetsOut", counters.packets_out},
          {"bytesIn", counters.bytes_in},
          {"bytesOut", counters.bytes_out}};
}

json::object to_json(const EndpointRow& row) {
  json::object object;
  object["servicePort"] = row.port;
  object["endpoint"] = row.endpoint.text();
  if (!row.pod.empty()) object["pod"] = row.pod;
  if (!row.node.empty()) object["node"] = row.node;
  object["local"] = row.is_local;
  object["state"] = name_of(row.state);
  object["why"] = to_json(row.why);
  object["wantedWeight"] = row.wanted_weight;
  object["weight"] = row.weight;
  object["activeConnections"] = row.active_connections;
  object["inactiveConnections"] = row.inactive_connections;
  object["counters"] = to_json(row.counters);
  if (row.clock.changed != 0) {
    object["changed"] = time_text(row.clock.changed);
    if (row.clock.out_since != 0) object["outSince"] = time_text(row.clock.out_since);
    constexpr UnixMilliseconds kSecond = 1000;
    object["outTodaySeconds"] = row.clock.out_today / kSecond;
  }
  return object;
}

}  // namespace agent
