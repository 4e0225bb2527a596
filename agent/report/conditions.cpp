// SPDX-License-Identifier: Apache-2.0
#include "agent/report/conditions.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>
#include <utility>

#include "agent/report/time_text.hpp"

namespace agent {
namespace {

namespace json = boost::json;
using std::chrono::steady_clock;

constexpr const char* kKernelRefused = "KernelRefused";

std::string name_of_errno(const ipvs::Failure& failure) {
  const char* name = failure.error_number > 0 ? ::strerrorname_np(failure.error_number) : nullptr;
  return name ? name : "UNKNOWN";
}

// "NEW_DEST TCP 10.96.0.1:80 -> ..." without the command.
std::string field_of(const ipvs::Failure& failure) {
  const std::string prefix = failure.command + " ";
  return failure.what.starts_with(prefix) ? failure.what.substr(prefix.size()) : failure.what;
}

json::object of_refusal(const Retries::Refusal& refusal, steady_clock::time_point now) {
  const ipvs::Failure& failure = refusal.failure;
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(refusal.next_try - now);
  json::object condition;
  if (!failure.owner.empty()) condition["object"] = "Service " + failure.owner;
  condition["reason"] = kKernelRefused;
  condition["field"] = field_of(failure);
  condition["command"] = failure.command;
  condition["errno"] = name_of_errno(failure);
  condition["message"] = failure.text();
  condition["since"] = rfc3339(refusal.since, now);
  condition["tries"] = failure.tries;
  condition["nextTrySeconds"] = std::max<std::int64_t>(left.count(), 0);
  return condition;
}

json::object of_notice(const ipvs::Owner& service, const StandingNotice& notice) {
  return {{"object", "Service " + service},
          {"reason", notice.reason},
          {"message", notice.note},
          {"since", rfc3339(notice.since)}};
}

}  // namespace

json::array Conditions::of(const ipvs::Owner& service,
                           const std::vector<Retries::Refusal>& refusals) const {
  const auto now = steady_clock::now();
  json::array own;
  for (const Retries::Refusal& refusal : refusals) {
    if (refusal.failure.owner == service) own.push_back(of_refusal(refusal, now));
  }
  const auto at = reporter_.standing().find(service);
  if (at == reporter_.standing().end()) return own;
  for (const StandingNotice& notice : at->second) own.push_back(of_notice(service, notice));
  return own;
}

json::object Conditions::value() const {
  const auto now = steady_clock::now();
  json::array node, objects;
  for (const auto& [field, fault] : health_.faults()) {
    json::object condition;
    condition["field"] = field;
    condition["message"] = fault;
    node.push_back(std::move(condition));
  }
  for (const Retries::Refusal& refusal : sync_.reconciler().failed().refusals()) {
    (refusal.failure.owner.empty() ? node : objects).push_back(of_refusal(refusal, now));
  }
  for (const auto& [service, notices] : reporter_.standing()) {
    for (const StandingNotice& notice : notices) objects.push_back(of_notice(service, notice));
  }
  json::object all;
  all["node"] = std::move(node);
  all["objects"] = std::move(objects);
  return all;
}

std::string Conditions::json() const { return json::serialize(value()) + "\n"; }

Conditions::Summary Conditions::summary() const {
  Summary summary;
  const auto take = [&summary](const std::string& text) {
    if (summary.count++ == 0) summary.one = text;
  };
  for (const auto& [field, fault] : health_.faults()) take(field + ": " + fault);
  for (const Retries::Refusal& refusal : sync_.reconciler().failed().refusals()) {
    const std::string& owner = refusal.failure.owner;
    take((owner.empty() ? "" : "Service " + owner + ": ") + refusal.failure.text());
  }
  for (const auto& [service, notices] : reporter_.standing()) {
    for (const StandingNotice& notice : notices) take("Service " + service + ": " + notice.note);
  }
  return summary;
}

std::map<std::string, std::size_t> Conditions::count() const {
  std::map<std::string, std::size_t> counts;
  const std::size_t refused = sync_.reconciler().failed().refusals().size();
  if (refused > 0) counts[kKernelRefused] = refused;
  for (const auto& [service, notices] : reporter_.standing()) {
    for (const StandingNotice& notice : notices) ++counts[notice.reason];
  }
  return counts;
}

}  // namespace agent
