// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/step_words.hpp"

#include <algorithm>
#include <string_view>

#include "ipvs/nftables/rule_text.hpp"
#include "ipvs/nftables/table.hpp"

namespace agent {
namespace {

using ipvs::ElementKind;
using ipvs::Ending;
using ipvs::Match;
using ipvs::TrafficClass;
using ipvs::WalkStep;

class Words {
 public:
  Words(const WalkStep& step, const StepContext& context)
      : step_(step), context_(context), chain_(step.rule->chain) {}

  std::string explanation() const {
    if (!step_.set) return of_rule_without_set();
    switch (step_.set->kind) {
      case ElementKind::kServiceIp:
        return of_service();
      case ElementKind::kNodePort:
        return of_node_port();
      case ElementKind::kNodeAddress:
        return destination() + (is_met() ? " is an address that serves node ports"
                                         : " is no address that serves node ports");
      case ElementKind::kVirtualIp:
        return of_virtual_ip();
      case ElementKind::kHairpin:
        return of_hairpin();
      case ElementKind::kGuardedIp:
      case ElementKind::kGuardedNodePort:
        return of_guard();
      case ElementKind::kShortCutIp:
      case ElementKind::kShortCutNodePort:
        return of_short_cut();
      case ElementKind::kLimitedIp:
        return of_limited();
      case ElementKind::kAllowedSource:
        return of_allowed();
      case ElementKind::kHealthCheckIp:
        return is_met() ? "the agent answers the load balancer's health checks here"
                        : "no port for a load balancer's health checks";
    }
    return {};
  }

  std::string alternative() const {
    if (chain_ == "limits") return "a client outside of loadBalancerSourceRanges is dropped";
    if (leads_to_short_cuts()) {
      return who_takes_short_cuts() + " is led to " + step_.redirected.text() +
             ", which has the endpoints of all nodes";
    }
    if (step_.set && step_.set->kind == ElementKind::kHairpin)
      return "an endpoint that reaches itself is masqueraded";
    if (step_.set && step_.set->kind == ElementKind::kVirtualIp)
      return "what this host sends is masqueraded";
    if (chain_ == "external-local") {
      return asks_for_host() ? "what this host sends is masqueraded"
                             : "a Pod of another node is masqueraded";
    }
    if (chain_ == "cluster-ip") return "what Pods here send is not masqueraded";
    return "another source may be treated otherwise";
  }

 private:
  bool is_met() const { return step_.match == Match::kYes; }
  std::string destination() const { return context_.packet.destination.address.to_string(); }
  std::string original() const { return context_.packet.original.text(); }
  std::string source() const {
    return context_.packet.source ? context_.packet.source->to_string() : "the source";
  }
  std::string service() const {
    return context_.service.empty() ? "a Service" : std::string(context_.service);
  }
  bool keeps_destination() const { return chain_ == "prerouting" || chain_ == "output"; }
  bool leads_to_short_cuts() const { return step_.match != Match::kYes && jumps(); }
  bool jumps() const {
    return keeps_destination() && ipvs::text_of(*step_.rule).ends_with("jump short-cuts");
  }
  bool asks_for_host() const { return ipvs::text_of(*step_.rule).starts_with("fib "); }

  std::string kept_text() const {
    return "keeps its destination: redirections of others, at -100, do not get it";
  }

  std::string of_service() const {
    if (keeps_destination()) return kept_text();
    switch (step_.set->traffic_class) {
      case TrafficClass::kExternal:
        return original() + (is_met() ? " is an external address of " + service() +
                                            ": all but loopback is masqueraded"
                                      : " is no external address with traffic policy Cluster");
      case TrafficClass::kExternalLocal:
        return original() + (is_met() ? " is an external address of " + service() +
                                            " with externalTrafficPolicy Local: clients outside "
                                            "keep their source address"
                                      : " is no external address with traffic policy Local");
      default:
        return original() + (is_met() ? " is a cluster IP of " + service()
                                      : " is no cluster IP and port of a Service");
    }
  }

  std::string of_node_port() const {
    if (keeps_destination()) return kept_text();
    const std::string port = std::to_string(context_.packet.original.port);
    const bool local = step_.set->traffic_class == TrafficClass::kExternalLocal;
    if (!is_met()) {
      return port + " is no node port with externalTrafficPolicy " + (local ? "Local" : "Cluster");
    }
    return port + " is a node port of " + service() +
           (local ? " with externalTrafficPolicy Local: clients outside keep their source address"
                  : ": all but loopback is masqueraded");
  }

  std::string of_virtual_ip() const {
    if (keeps_destination()) return kept_text();
    if (chain_ == "cluster-ip") {
      switch (step_.match) {
        case Match::kYes:
          return "the source is a virtual IP, so it is this host's: masqueraded";
        case Match::kNo:
          return "the source is no virtual IP, and no Pod networks are known: not masqueraded";
        case Match::kDepends:
          return "masqueraded only if the source is a virtual IP, which means this host";
      }
    }
    if (!is_met()) return destination() + " is no virtual IP";
    if (step_.ending == Ending::kContinue) return destination() + " is a virtual IP";
    return destination() +
           " is a virtual IP and no Service has this port there: refused, as this "
           "host's own ports are closed on virtual IPs";
  }

  std::string of_hairpin() const {
    switch (step_.match) {
      case Match::kYes:
        return "the endpoint is the client itself: masqueraded, so that its replies come back here";
      case Match::kNo:
        return "the endpoint is not the client itself";
      case Match::kDepends:
        return "masqueraded if the endpoint is the client itself";
    }
    return {};
  }

  std::string why() const {
    return context_.why_no_endpoint.empty() ? std::string()
                                            : ": " + std::string(context_.why_no_endpoint);
  }

  std::string of_guard() const {
    const bool refuses = step_.set->traffic_class == TrafficClass::kRefused;
    if (!is_met()) return refuses ? "not refused: no guard" : "not dropped: no guard";
    if (refuses) return service() + " has no endpoint for this port here" + why() + "; refused";
    return service() + " has externalTrafficPolicy Local" + why() +
           "; dropped, so that the load balancer tries another node";
  }

  std::string who_takes_short_cuts() const {
    return ipvs::is_by_interface(context_.rules)
               ? "what comes by the interface " + context_.rules.pod_interface +
                     (context_.rules.local_by == ipvs::LocalBy::kNamePrefix ? "*" : "")
               : std::string("a Pod of the cluster");
  }

  std::string of_short_cut() const {
    if (jumps()) return of_jump();
    if (!is_met()) return "no short cut from here";
    return "a client in the cluster: led to the cluster IP " + step_.redirected.text() + " of " +
           service() + ", which has the endpoints of all nodes";
  }

  std::string of_jump() const {
    switch (step_.match) {
      case Match::kYes:
        return "a client in the cluster: short cuts hold for it";
      case Match::kNo:
        return "no client in the cluster by this rule: short cuts do not hold for it";
      case Match::kDepends:
        return "short cuts hold for " + who_takes_short_cuts() + ": it would be led to " +
               step_.redirected.text();
    }
    return {};
  }

  std::string of_limited() const {
    if (chain_ == "postrouting") return "the source is no virtual IP with source ranges";
    return "no loadBalancerSourceRanges hold for " + context_.packet.destination.text();
  }

  std::string ranges() const {
    std::string text;
    ipvs::Element first = step_.key;
    first.source_network = {ipvs::unspecified(ipvs::family_of(first.address)), 0};
    int left = 8;  // of many, some
    for (auto at = context_.elements.lower_bound(first);
         at != context_.elements.end() && ipvs::same_server(*at, first); ++at) {
      if (left-- == 0) return text + ", ...";
      text += (text.empty() ? "" : ", ") + at->source_network.address.to_string() + "/" +
              std::to_string(at->source_network.prefix_length);
    }
    return text.empty() ? "none" : text;
  }

  std::string of_allowed() const {
    const std::string whose = "loadBalancerSourceRanges of " + service();
    switch (step_.match) {
      case Match::kYes:
        return source() + " is in none of " + whose + " (" + ranges() + "): dropped";
      case Match::kNo:
        return source() + " is in " + whose + " (" + ranges() + ")";
      case Match::kDepends:
        return "dropped unless the source is in " + whose + " (" + ranges() + ")";
    }
    return {};
  }

  std::string of_rule_without_set() const {
    if (jumps()) return of_jump();
    if (chain_ == "external") return "traffic to external addresses and node ports is masqueraded";
    if (chain_ == "external-local") return of_external_local();
    if (chain_ == "cluster-ip") return of_cluster_ip();
    if (step_.ending == Ending::kReset) return "refused with a TCP reset";
    if (step_.ending == Ending::kUnreachable) return "refused with ICMP port unreachable";
    return {};
  }

  std::string of_external_local() const {
    const std::string what = asks_for_host() ? "sent by this host" : "from a Pod of another node";
    switch (step_.match) {
      case Match::kYes:
        return what + ": masqueraded, so that replies come back here";
      case Match::kNo:
        return "not " + what + ": by this rule its source address is kept";
      case Match::kDepends:
        return "masqueraded if " + what;
    }
    return {};
  }

  std::string outside_text() const {
    if (context_.rules.masquerade_all) return "--masquerade-all";
    if (ipvs::is_by_interface(context_.rules)) return "not come by the interface of Pods";
    return "not from the Pod networks";
  }

  std::string of_cluster_ip() const {
    switch (step_.match) {
      case Match::kYes:
        return outside_text() + ": masqueraded, so that replies come back here";
      case Match::kNo:
        return "from a Pod here: its source address is kept";
      case Match::kDepends:
        return "masqueraded if " + outside_text();
    }
    return {};
  }

  const WalkStep& step_;
  const StepContext& context_;
  std::string_view chain_;
};

}  // namespace

std::string key_text(const ipvs::Element& element) {
  const std::string text = element.text();
  return text.substr(std::min(text.find(' ') + 1, text.size()));
}

ExplainStep words_of(const WalkStep& step, const StepContext& context) {
  const Words words(step, context);
  ExplainStep result{.chain = std::string(step.rule->chain),
                     .rule = ipvs::text_of(*step.rule),
                     .matched = step.match,
                     .explanation = words.explanation()};
  if (step.set) {
    result.set = step.set->name;
    // The range or target that was found says more than the key that was asked for.
    result.element = key_text(step.element ? *step.element : step.key);
    const bool lacks_end = step.set->data_length != 0 || step.match == Match::kDepends;
    if (!step.element && lacks_end) {
      const bool is_range = step.set->key.network;
      const std::size_t end = is_range ? result.element.rfind(" . ") : result.element.find(" : ");
      result.element = result.element.substr(0, end);
    }
  }
  return result;
}

std::string alternative_of(const WalkStep& step, const StepContext& context) {
  return Words(step, context).alternative();
}

}  // namespace agent
