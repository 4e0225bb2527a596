// SPDX-License-Identifier: Apache-2.0
#include "agent/report/node_digest.hpp"
#include "config/version.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace agent {

NodeDigest::Values NodeDigest::read() {
  PlanDigest& plans = reporter_.plan_digest();
  Values values{.current = plans.current(), .common = plans.common(PlanDigest::Moment::now())};
  values.is_settled = sync_.complete() && sync_.pending() == 0 && sync_.reconciler().is_settled();
  if (values.is_settled) {
    std::uint64_t oldest = 0;
    for (const k8s::KindCounters& kind : source_.counters()) {
      if (kind.kind == "Node") continue;  // each node has its own
      if (kind.version != 0 && (oldest == 0 || kind.version < oldest)) oldest = kind.version;
    }
    version_ = oldest;
  }
  values.version = version_;
  return values;
}

std::string NodeDigest::json() {
  const Values values = read();
  return boost::json::serialize(boost::json::object{{"node", config_.node_name},
                                                    {"version", config::kVersion},
                                                    {"digest", digest_text(values.current)},
                                                    {"programmedVersion", values.version},
                                                    {"settled", values.is_settled}}) +
         "\n";
}

std::string digest_text(std::uint64_t digest) { return fmt::format("{:013x}", digest); }

}  // namespace agent
