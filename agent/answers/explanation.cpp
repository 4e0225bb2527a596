// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/explanation.hpp"

#include <boost/json/array.hpp>

namespace agent {
namespace {

namespace json = boost::json;

json::array texts(const std::vector<std::string>& all) {
  return json::array(all.begin(), all.end());
}

json::object to_json(const ExplainStep& step) {
  return {{"place", step.place},     {"chain", step.chain},
          {"rule", step.rule},       {"set", step.set},
          {"element", step.element}, {"matched", name_of(step.matched)},
          {"service", step.service}, {"explanation", step.explanation}};
}

json::object to_json(const EndpointOutcome& outcome) {
  return {{"endpoint", outcome.endpoint.text()},
          {"pod", outcome.pod},
          {"weight", outcome.weight},
          {"state", outcome.takes_new() ? "serving" : "draining"},
          {"node", outcome.is_here ? "this" : "other"},
          {"is_masqueraded", name_of(outcome.is_masqueraded)},
          {"source_seen", outcome.source_seen}};
}

json::object to_json(const Way& way);

template <typename T>
json::array list(const std::vector<T>& all) {
  json::array array;
  array.reserve(all.size());
  for (const T& each : all) array.push_back(to_json(each));
  return array;
}

json::object to_json(const Way& way) {
  return {{"to", way.to.text()},
          {"protocol", name_of(way.protocol)},
          {"service", way.service},
          {"port", way.port},
          {"entrance", way.entrance},
          {"from", way.from},
          {"entry", name_of(way.entry)},
          {"client", way.client},
          {"steps", list(way.steps)},
          {"verdict", name_of(way.verdict)},
          {"reason", way.reason},
          {"depends", texts(way.depends)},
          {"server", way.server},
          {"scheduler", way.scheduler},
          {"flags", texts(way.flags)},
          {"persistence_seconds", way.persistence_seconds},
          {"endpoints", list(way.endpoints)},
          {"endpoints_omitted", way.endpoints_omitted},
          {"is_masqueraded", name_of(way.is_masqueraded)},
          {"source_seen", way.source_seen}};
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kDelivered:
      return "delivered";
    case Verdict::kRefused:
      return "refused";
    case Verdict::kDropped:
      return "dropped";
    case Verdict::kForeign:
      return "foreign";
    case Verdict::kHost:
      return "host";
  }
  return "";
}

std::string_view name_of(Entry entry) {
  switch (entry) {
    case Entry::kUnknown:
      return "unknown";
    case Entry::kOutside:
      return "outside";
    case Entry::kPod:
      return "pod";
    case Entry::kHost:
      return "host";
  }
  return "";
}

std::string_view name_of(Certainty certainty) {
  switch (certainty) {
    case Certainty::kNo:
      return "no";
    case Certainty::kYes:
      return "yes";
    case Certainty::kDepends:
      return "depends";
  }
  return "";
}

json::object to_json(const Explanation& explanation) {
  return {{"notes", texts(explanation.notes)},
          {"omitted", explanation.omitted},
          {"ways", list(explanation.ways)}};
}

}  // namespace agent
