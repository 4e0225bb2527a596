// SPDX-License-Identifier: Apache-2.0
//
// What this node does not do as asked, and since when: what /conditions answers, as JSON.
//
//   {"node": [{"field": "metrics", "message": "cannot listen on ...", ...}],
//    "objects": [
//     {"object": "Service default/web", "reason": "KernelRefused",
//      "field": "TCP 10.96.0.1:80 -> 203.0.113.255:8080", "command": "NEW_DEST", "errno": "EINVAL",
//      "message": "NEW_DEST TCP 10.96.0.1:80 -> ...: Invalid argument",
//      "since": "2026-11-29T10:11:12Z", "tries": 5, "nextTrySeconds": 7},
//     {"object": "Service default/web", "reason": "AddressRefused",
//      "message": "192.0.2.1 is a gateway of this node: not served", "since": "..."}]}
//
// "objects" has the conditions of Services: what the kernel refuses, and what is not planned
// (agent/decide/service_plan.hpp, Notice) or taken by another. "node" has what belongs to none.
//
// Threading: the agent's io_context thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "agent/report/node_health.hpp"
#include "agent/report/sync_reporter.hpp"
#include "agent/sync/sync_loop.hpp"

namespace agent {

class Conditions {
 public:
  Conditions(const SyncLoop& sync, const SyncReporter& reporter, const NodeHealth& health)
      : sync_(sync), reporter_(reporter), health_(health) {}

  std::string json() const;
  boost::json::object value() const;
  // Those of one Service. `refusals`: what the kernel refuses now.
  boost::json::array of(const ipvs::Owner& service,
                        const std::vector<Retries::Refusal>& refusals) const;
  // How many there are, and the text of one, of the node before those of objects.
  struct Summary {
    std::size_t count = 0;
    std::string one{};
  };
  Summary summary() const;
  // How many there are, by reason.
  std::map<std::string, std::size_t> count() const;

 private:
  const SyncLoop& sync_;
  const SyncReporter& reporter_;
  const NodeHealth& health_;
};

}  // namespace agent
