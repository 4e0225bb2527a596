// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/packet_way.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "agent/answers/entrance_names.hpp"
#include "agent/answers/step_words.hpp"
#include "agent/decide/localhost_ports.hpp"
#include "ipvs/nftables/table.hpp"

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Ending;
using ipvs::Endpoint;
using ipvs::Match;

std::string place_of(std::string_view hook) {
  for (const ipvs::Chain& chain : ipvs::table_chains()) {
    if (chain.name == hook && chain.hook)
      return std::string(hook) + " " + std::to_string(chain.hook->priority);
  }
  return std::string(hook);
}

std::string plural(std::size_t count, const char* word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

class PacketWay {
 public:
  PacketWay(const Endpoint& to, ipvs::Protocol protocol, const Client& client,
            std::span<const ipvs::Rule> rules, const ExplainView& view)
      : rules_(rules), view_(view) {
    way_.to = to;
    way_.protocol = protocol;
    way_.entry = client.entry;
    way_.client = client.words;
    packet_ = {.protocol = protocol,
               .source = client.source,
               .destination = to,
               .original = to,
               .arrival = client.arrival};
    if (client.entry == Entry::kHost) {
      // Where the kernel's choice is not known, the address that was named.
      const auto chosen = source_of_host(to.address, view);
      const bool is_named =
          client.source && !client.source->is_loopback() && !view.ledger.holds(*client.source);
      packet_.source = chosen || !is_named ? chosen : client.source;
      packet_.is_source_local = true;
    } else if (client.source) {
      packet_.is_source_local = is_of_this_host(*client.source, view);
    }
    if (packet_.source) way_.from = packet_.source->to_string();
    name_entrance();
  }

  Way follow() {
    const bool has_ended = way_.entry == Entry::kHost ? send() : arrive();
    if (!has_ended) reach_host();
    return std::move(way_);
  }

 private:
  ipvs::ServerKey key() const {
    return {packet_.destination.address, packet_.destination.port, packet_.protocol};
  }

  void name_entrance() {
    named_ = entrance_at(key(), view_);
    if (!named_) return;
    way_.service = named_->owner;
    if (!named_->service) return;
    if (named_->port_index < named_->service->ports.size())
      way_.port = name_of(named_->service->ports[named_->port_index]);
    if (named_->entrance) way_.entrance = name_of(named_->entrance->field);
    find_reason();
  }

  // Collects all endpoints of the Service: only where there is something to be said.
  void find_reason() {
    const ipvs::Server* server = view_.ledger.server(key());
    const bool serves =
        server && std::any_of(server->destinations.begin(), server->destinations.end(),
                              [](const ipvs::Destination& each) { return each.weight != 0; });
    why_no_endpoint_ = named_ && !serves ? why_no_endpoint(*named_, view_) : std::string();
  }

  // --- the hooks; true: the way has ended ---

  bool arrive() {
    if (packet_.destination.address.is_loopback()) {
      say("routing", Match::kYes, "a packet to a loopback address does not come by an interface");
      return end(Verdict::kDropped, "loopback addresses are reached from this host only");
    }
    return hook("guard-prerouting") || hook("prerouting") || route() || hook("guard-input") ||
           enter_ipvs() || hook("input");
  }

  bool send() {
    if (hook("guard-output") || hook("output") || enter_ipvs() || route()) return true;
    // By loopback, with the connection tracking entry that it has already.
    return hook("guard-prerouting") || hook("guard-input") || hook("input");
  }

  bool route() {
    const Address& address = packet_.destination.address;
    const std::string text = address.to_string();
    if (view_.ledger.holds(address)) {
      say("routing", Match::kYes, text + " is a virtual IP of this node, on kube-ipvs0",
          view_.desired.some_owner_of(address));
      return false;
    }
    if (is_of_this_host(address, view_)) {
      say("routing", Match::kYes, text + " is an address of this node's own");
      return false;
    }
    say("routing", Match::kNo, text + " is no address of this node");
    const std::string whose =
        view_.desired.wants(address) ? "; a Service wants it, but it is not bound now" : "";
    return end(Verdict::kForeign,
               "not ours: the packet is routed on as if we were not here" + whose);
  }

  void reach_host() {
    const auto local = localhost_port();
    if (local) {
      say("socket", Match::kYes,
          "the agent relays connections to " + local->listen.text() + " to " +
              local->target.text());
      end(Verdict::kHost,
          "the agent's relay for node ports on loopback takes it, and connects to " +
              local->target.text());
      return;
    }
    say("IPVS", Match::kNo, "there is no virtual server " + key().text());
    end(Verdict::kHost, "not ours: it goes to this host's own sockets as if we were not here");
  }

  std::optional<LocalhostPort> localhost_port() const {
    if (!packet_.destination.address.is_loopback()) return std::nullopt;
    if (packet_.protocol != ipvs::Protocol::kTcp) return std::nullopt;
    std::optional<LocalhostPort> found;
    view_.cluster.services().for_each([&](const k8s::Service& service) {
      if (found) return;
      const auto has_port = [&](const k8s::ServicePort& port) {
        return port.node_port == packet_.destination.port;
      };
      if (std::none_of(service.ports.begin(), service.ports.end(), has_port)) return;
      for (const LocalhostPort& each : view_.cluster.localhost_ports(service.meta.key.text())) {
        if (each.listen == packet_.destination) found = each;
      }
    });
    return found;
  }

  // Runs a base chain of our table. True: it ended the way.
  bool hook(std::string_view name) {
    const ipvs::Walk walk = walk_hook(name);
    switch (walk.ending) {
      case Ending::kDrop:
        return end(Verdict::kDropped, way_.steps.back().explanation);
      case Ending::kReset:
      case Ending::kUnreachable:
        return end(Verdict::kRefused, reason_of_refusal());
      case Ending::kRedirect:
        take_short_cut(walk.destination);
        return false;
      default:
        return false;
    }
  }

  // A destination that is only kept is the same as before.
  void take_short_cut(const Endpoint& to) {
    if (packet_.destination == to) return;
    packet_.destination = to;
    named_ = entrance_at(key(), view_);
    find_reason();
  }

  ipvs::Walk walk_hook(std::string_view name) {
    ipvs::Walk walk = ipvs::walk_hook(name, rules_, view_.ledger.elements(), packet_);
    const StepContext context{.rules = view_.rules,
                              .elements = view_.ledger.elements(),
                              .packet = packet_,
                              .service = way_.service,
                              .why_no_endpoint = why_no_endpoint_};
    for (const ipvs::WalkStep& step : walk.steps) {
      ExplainStep words = words_of(step, context);
      words.place = place_of(name);
      if (step.element) words.service = owner_of(*step.element, view_);
      if (step.match == Match::kDepends) note_dependence(alternative_of(step, context));
      way_.steps.push_back(std::move(words));
    }
    return walk;
  }

  // Of a guard, the set says why; "refuse" only how.
  std::string reason_of_refusal() const {
    for (auto step = way_.steps.rbegin(); step != way_.steps.rend(); ++step) {
      if (step->matched == Match::kYes && !step->set.empty()) return step->explanation;
    }
    return "refused";
  }

  void note_dependence(std::string text) {
    const auto& all = way_.depends;
    if (std::find(all.begin(), all.end(), text) == all.end())
      way_.depends.push_back(std::move(text));
  }

  // --- IPVS ---

  bool enter_ipvs() {
    const ipvs::Server* server = view_.ledger.server(key());
    if (!server) {
      if (!view_.foreign.contains(key())) return false;
      say("IPVS", Match::kYes,
          "the virtual server " + key().text() + " is another program's, which we do not change",
          way_.service);
      return end(Verdict::kForeign, "not ours: another program's virtual server takes it");
    }
    take_settings(server->settings);
    const auto& all = server->destinations;
    const auto serving = static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& d) { return d.weight != 0; }));
    say("IPVS", Match::kYes, server_text(*server, serving), owner_of_server());
    if (serving == 0) return end_without_endpoint(all.size());
    // A client that is an endpoint itself is treated in another way: it is shown in any case.
    const auto add_those = [&](bool client) {
      for (const ipvs::Destination& each : all) {
        if ((packet_.source == each.endpoint.address) == client) add_endpoint(each);
      }
    };
    add_those(true);
    add_those(false);
    leave();
    return true;
  }

  std::string owner_of_server() const {
    const ipvs::Owner* owner = view_.desired.owner_of(key());
    return owner ? *owner : std::string();
  }

  void take_settings(const ipvs::VirtualServer& settings) {
    way_.server = settings.key.text();
    way_.scheduler = settings.scheduler;
    way_.persistence_seconds = settings.timeout_seconds;
    const bool of_mh = settings.scheduler == "mh";
    const auto add = [&](std::uint32_t flag, std::string name) {
      if ((settings.flags & flag) != 0) way_.flags.push_back(std::move(name));
    };
    add(ipvs::kFlagPersistent, "persistent");
    add(ipvs::kFlagOnePacket, "ops");
    add(ipvs::kFlagSched1, of_mh ? "mh-fallback" : "sh-fallback");
    add(ipvs::kFlagSched2, of_mh ? "mh-port" : "sh-port");
  }

  std::string server_text(const ipvs::Server& server, std::size_t serving) const {
    std::string text = "virtual server " + way_.server + ", scheduler " + way_.scheduler + ": " +
                       plural(serving, "endpoint") + " for new connections";
    if (const std::size_t rest = server.destinations.size() - serving; rest != 0)
      text += ", " + std::to_string(rest) + " with weight 0 for those that are open";
    if (way_.persistence_seconds != 0) {
      text += "; a client of the last " + std::to_string(way_.persistence_seconds) +
              " s goes to the same one";
    }
    return text;
  }

  bool end_without_endpoint(std::size_t draining) {
    std::string reason = draining == 0
                             ? "the virtual server has no destination"
                             : plural(draining, "endpoint") +
                                   " with weight 0: only connections that are open continue";
    if (!why_no_endpoint_.empty()) reason += " (" + why_no_endpoint_ + ")";
    if (view_.rules.drops_refusals) {
      return end(Verdict::kDropped, reason + "; the refusal is dropped while schedulers change");
    }
    return end(Verdict::kRefused, reason + "; IPVS answers with ICMP port unreachable");
  }

  void add_endpoint(const ipvs::Destination& destination) {
    if (way_.endpoints.size() == kMostEndpoints) {
      ++way_.endpoints_omitted;
      return;
    }
    EndpointOutcome outcome{.endpoint = destination.endpoint, .weight = destination.weight};
    const Address& address = destination.endpoint.address;
    const k8s::ObjectKey service =
        way_.service.empty() ? k8s::ObjectKey{} : service_key(way_.service);
    outcome.pod = view_.cluster.pod_at(address, service);
    const auto pod = view_.cluster.endpoints().find_pod_at(address);
    outcome.is_here =
        pod ? pod->is_here
            : is_of_this_host(address, view_) || ipvs::is_in_any(address, view_.rules.own_pods);
    way_.endpoints.push_back(std::move(outcome));
  }

  // What leaving depends on, of an endpoint: endpoints that have the same leave in the same way.
  using Kind = std::tuple<bool, bool, bool>;
  Kind kind_of(const Address& address) const {
    const ipvs::Element hairpin{.kind = ipvs::ElementKind::kHairpin, .address = address};
    return {is_of_this_host(address, view_), packet_.source == address,
            view_.ledger.element(hairpin) != nullptr};
  }

  void leave() {
    std::map<Kind, Certainty> ways;
    const Endpoint virtual_server = packet_.destination;
    for (EndpointOutcome& each : way_.endpoints) {
      const Kind kind = kind_of(each.endpoint.address);
      auto known = ways.find(kind);
      if (known == ways.end()) {
        const std::size_t first_step = way_.steps.size();
        packet_.destination = each.endpoint;
        const Certainty masqueraded = leave_to(each.endpoint.address);
        // Of another kind of endpoint, only what is decided otherwise.
        if (!ways.empty()) keep_new_steps(first_step, each.endpoint);
        known = ways.emplace(kind, masqueraded).first;
      }
      each.is_masqueraded = known->second;
      each.source_seen = source_seen(each.is_masqueraded);
    }
    packet_.destination = virtual_server;
    conclude();
  }

  void keep_new_steps(std::size_t first, const Endpoint& to) {
    std::vector<ExplainStep> kept;
    for (std::size_t i = first; i < way_.steps.size(); ++i) {
      ExplainStep& step = way_.steps[i];
      const bool is_known = std::any_of(
          way_.steps.begin(), way_.steps.begin() + static_cast<std::ptrdiff_t>(first),
          [&](const ExplainStep& old) {
            return old.place == step.place && old.rule == step.rule && old.matched == step.matched;
          });
      if (is_known) continue;
      step.explanation = "to " + to.text() + ": " + step.explanation;
      kept.push_back(std::move(step));
    }
    way_.steps.resize(first);
    std::move(kept.begin(), kept.end(), std::back_inserter(way_.steps));
  }

  // Whether it is masqueraded.
  Certainty leave_to(const Address& endpoint) {
    const bool arrived = way_.entry != Entry::kHost;
    if (arrived && is_of_this_host(endpoint, view_)) {
      say("IPVS", Match::kYes,
          "the endpoint is this host itself: the packet stays here, and nothing masquerades it");
      walk_hook("input");
      return Certainty::kNo;
    }
    if (arrived) walk_hook("guard-output");
    const ipvs::Walk walk = walk_hook("postrouting");
    if (walk.ending == Ending::kMasquerade) {
      return walk.steps.back().match == Match::kDepends || has_doubt(walk) ? Certainty::kDepends
                                                                           : Certainty::kYes;
    }
    return has_doubt(walk) ? Certainty::kDepends : Certainty::kNo;
  }

  static bool has_doubt(const ipvs::Walk& walk) {
    return std::any_of(walk.steps.begin(), walk.steps.end(),
                       [](const auto& step) { return step.match == Match::kDepends; });
  }

  std::string source_seen(Certainty masqueraded) const {
    switch (masqueraded) {
      case Certainty::kYes:
        return "an address of this node";
      case Certainty::kNo:
        return way_.from.empty() ? "the client's own address" : way_.from;
      case Certainty::kDepends:
        return "depends on the source";
    }
    return {};
  }

  void conclude() {
    bool first = true;
    for (const EndpointOutcome& each : way_.endpoints) {
      if (!each.takes_new()) continue;
      const bool same = first || way_.is_masqueraded == each.is_masqueraded;
      way_.is_masqueraded = same ? each.is_masqueraded : Certainty::kDepends;
      first = false;
    }
    const bool mixed = std::any_of(way_.endpoints.begin(), way_.endpoints.end(), [&](auto& each) {
      return each.takes_new() && each.is_masqueraded != way_.is_masqueraded;
    });
    way_.source_seen = mixed ? "depends on the endpoint" : source_seen(way_.is_masqueraded);
    check_forward_chains();
    end(Verdict::kDelivered, "delivered to an endpoint of " + way_.server);
  }

  // What endpoints answer is forwarded, except by this host's own.
  void check_forward_chains() {
    const bool is_v4 = way_.to.address.is_v4();
    for (const ipvs::ForwardChain& chain : view_.forward_chains) {
      constexpr std::uint8_t kInet = 1, kIpv4 = 2, kIpv6 = 10;  // NFPROTO_*
      const bool concerns = chain.family == kInet || chain.family == (is_v4 ? kIpv4 : kIpv6);
      if (!concerns) continue;
      say("forward", Match::kDepends,
          "the chain " + chain.text() +
              " drops what none of its rules accepts: perhaps the replies (--forward-accept adds "
              "such a rule)");
      note_dependence("the chain " + chain.text() + " may drop the replies");
    }
  }

  void say(std::string place, Match matched, std::string explanation,
           std::string_view service = {}) {
    way_.steps.push_back({.place = std::move(place),
                          .matched = matched,
                          .service = std::string(service),
                          .explanation = std::move(explanation)});
  }

  bool end(Verdict verdict, std::string reason) {
    way_.verdict = verdict;
    way_.reason = std::move(reason);
    return true;
  }

  std::span<const ipvs::Rule> rules_;
  const ExplainView& view_;
  ipvs::Packet packet_;
  std::optional<NamedEntrance> named_;
  std::string why_no_endpoint_;
  Way way_;
};

}  // namespace

Way follow_packet(const Endpoint& to, ipvs::Protocol protocol, const Client& client,
                  std::span<const ipvs::Rule> rules, const ExplainView& view) {
  return PacketWay(to, protocol, client, rules, view).follow();
}

}  // namespace agent
