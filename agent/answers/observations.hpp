// SPDX-License-Identifier: Apache-2.0
//
// Observations of a Service: a line of JSON for each connection that begins or ends, as it happens
// (GET /v1/observe). The first object of a line is "type":
//
//   start  what is observed, and notes: what cannot be known here
//   new    a connection: client, entrance (what the client called), endpoint (what IPVS chose)
//   ended  the same with how long it lasted and its bytes, as far as they are known
//   rate   where more happened than is shown: how many began and ended in a second, and one of how
//          many is shown (agent/answers/flow_sample.hpp)
//   lost   the kernel had no place for events: more came than were read
//   end    the last line, and why
//
// A TCP connection ends when both sides have said so, or one has reset it; any other when connection
// tracking forgets it. Connections that exist already are not listed.
//
// Nothing of it exists while nobody observes.
//
// Threading: the agent's io_context thread; the observer is opened on the kernel thread, and is read and
// closed on this one.
// Errors: as those of the door (agent/answers/door.hpp).
// Limits: two observations at once; those of FlowSample.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/answers/query.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "agent/report/http_server.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

struct ObserveQuery {
  k8s::ObjectKey service{};
  std::uint32_t seconds = 600;
  std::uint32_t per_second = 50;  // lines
};
// From `name`, `namespace`, `for` (seconds) and `rate`. Throws QuestionFault.
ObserveQuery observe_query(const Parameters& parameters);

class Observations {
 public:
  Observations(ipvs::Kernel& kernel, KernelThread& thread, const ClusterState& cluster)
      : kernel_(kernel), thread_(thread), cluster_(cluster) {}

  // Throws QuestionFault.
  boost::asio::awaitable<HttpAnswer> answer(ObserveQuery query);

 private:
  class Observation;
  using Pointer = std::shared_ptr<Observation>;
  boost::asio::awaitable<void> run(Pointer observation, BodyWriter write);
  boost::asio::awaitable<std::string> follow_service(Observation& observation);
  std::vector<ipvs::ServerKey> servers_of_service(const k8s::ObjectKey& key) const;
  void limit_events();

  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const ClusterState& cluster_;
  std::set<Observation*> under_way_;
};

}  // namespace agent
