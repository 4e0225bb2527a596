// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/endpoint_reasons.hpp"

namespace agent {
namespace {

struct Counts {
  std::size_t all = 0, usable = 0, unready = 0, terminating = 0, weightless = 0;
};

Counts count(const std::vector<ServiceEndpoint>& endpoints, ipvs::Family family, bool local_only) {
  Counts counts;
  for (const ServiceEndpoint& each : endpoints) {
    if (ipvs::family_of(each.endpoint.address) != family || (local_only && !each.local)) continue;
    ++counts.all;
    if (each.ready && each.weight == 0) {
      ++counts.weightless;
    } else if (each.ready) {
      ++counts.usable;
    } else if (each.terminating) {
      ++counts.terminating;
    } else {
      ++counts.unready;
    }
  }
  return counts;
}

std::string number(std::size_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string selector_text(const k8s::Service& service) {
  std::string text;
  for (const auto& [key, value] : service.selector)
    text += (text.empty() ? "" : ",") + key + "=" + value;
  return text;
}

std::string states_text(const Counts& counts) {
  std::string text;
  const auto add = [&text](std::size_t some, const std::string& words) {
    if (some != 0) text += (text.empty() ? "" : ", ") + words;
  };
  add(counts.unready,
      number(counts.unready, "fails its readiness check", "fail their readiness checks"));
  add(counts.terminating, number(counts.terminating, "terminates", "terminate"));
  add(counts.weightless, number(counts.weightless, "has weight 0", "have weight 0"));
  return text;
}

}  // namespace

std::string why_no_endpoint(const k8s::Service& service, const ServiceEndpoints& endpoints,
                            std::size_t port_index, ipvs::Family family, bool local_only) {
  if (port_index >= endpoints.size()) return {};
  const Counts all = count(endpoints[port_index], family, false);
  if (all.all == 0) {
    if (service.selector.empty())
      return "it has no selector, and no EndpointSlice has an endpoint for this port";
    return "no Pod with an address has the labels " + selector_text(service) + " and this port";
  }
  const Counts here = local_only ? count(endpoints[port_index], family, true) : all;
  if (here.usable != 0) return {};
  if (here.all == 0)
    return number(all.all, "endpoint", "endpoints") + ", none of them on this node";
  return number(here.all, "endpoint", "endpoints") + (local_only ? " on this node" : "") +
         ", none ready: " + states_text(here);
}

}  // namespace agent
