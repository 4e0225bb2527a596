// SPDX-License-Identifier: Apache-2.0
//
// The result of planning one Service, and the interface by which the sync loop asks for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/decide/claims.hpp"
#include "agent/decide/planner.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/types.hpp"

namespace agent {

// Why something that a Service asks for is not done.
enum class NoticeReason : std::uint8_t {
  kBadAnnotation,
  kAddressRefused,
  kEndpointRefused,
  kWeightsIgnored
};
// The reason of the Kubernetes Event: "BadAnnotation".
const char* text_of(NoticeReason reason);

struct Notice {
  NoticeReason reason = NoticeReason::kBadAnnotation;
  std::string note;  // for people, after "Service ns/name: "
};

struct PlannedService {
  k8s::UnixSeconds since = 0;                 // see Standing in agent/decide/claims.hpp
  std::vector<ipvs::Address> external_ips{};  // the same
  ipvs::ServicePlan plan;
  bool again_in_a_second = false;  // weights are ramping
  bool is_lingering = false;       // the Service is deleted but still has connections
  // Of a lingering Service that this process never saw: in place of `plan`, its virtual servers,
  // which stay as the kernel has them (agent/decide/held_plan.hpp).
  std::vector<ipvs::ServerKey> kept{};
  std::optional<std::uint64_t> digest{};    // agent/decide/plan_digest.hpp; nullopt: lingers
  std::array<LacksLocal, 2> lacks_local{};  // by ipvs::Family, for metrics
  std::vector<Notice> notices{};
};

// What the sync loop asks of the cluster state.
//
// Threading: called on the io_context thread.
class ServicePlans {
 public:
  virtual ~ServicePlans() = default;
  // nullopt: there is no such Service, or it is not served.
  virtual std::optional<PlannedService> plan(const ipvs::Owner& service) = 0;
  // Whether an endpoint that this Service no longer wants may finish its connections.
  virtual bool may_drain(const ipvs::Owner& service, const ipvs::Endpoint& endpoint) const = 0;
  // Whether the cluster has this endpoint, wanted or not.
  virtual bool has_endpoint(const ipvs::Owner&, const ipvs::Endpoint&) const { return false; }
  // A lingering Service has no connections left.
  virtual void drained(const ipvs::Owner& service) = 0;
  // The kernel does not have this scheduler. True: the Services that ask for it are planned again,
  // with the default one. False: it is the default one, or was known to be missing.
  virtual bool scheduler_is_missing(const std::string& scheduler) = 0;
  // What the agent that starts next has to know of this one, as far as it has changed; written
  // before the kernel is changed.
  virtual std::vector<ipvs::Note> take_notes() { return {}; }
  // What the rules of our nftables table say; read whenever the table is installed.
  virtual ipvs::TableRules table_rules() const = 0;
  // Where node ports are served; read at the start and after SyncLoop::node_addresses_changed().
  virtual std::vector<ipvs::Address> node_port_addresses() const = 0;
};

}  // namespace agent
