// SPDX-License-Identifier: Apache-2.0
//
// The verdict on this node, on one screen: what `kube-ipvs status` shows. Pure.
//
//   verdict    meaning
//   ok         everything that is asked of this node is done
//   starting   the first table is not complete yet
//   attention  it serves, and something should be looked at: a condition, a chain that drops, an old
//              answer of the API server
//   failing    /healthz says so: the node cannot do its work
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/source.hpp"

namespace agent {

struct StatusInputs {
  std::string node{}, version{};
  std::string source{};                       // "API server https://...", "manifests in DIR"
  std::string started{}, now{};               // RFC 3339
  std::vector<std::string> health_reasons{};  // why /healthz fails; empty: it does not
  std::string awaited{};                      // what a node that has not been ready waits for
  std::vector<k8s::KindCounters> kinds{};     // empty for manifests
  std::size_t services = 0, pods = 0, slices = 0;
  std::string last_pass{};  // RFC 3339; "": none has ended
  std::size_t pending = 0;  // Services to be planned
  struct Amount {
    std::size_t servers = 0, destinations = 0, addresses = 0;
  };
  Amount wanted{}, held{};
  std::string digest{};                  // see agent/report/node_digest.hpp
  std::uint64_t programmed_version = 0;  // the same
  bool is_settled = false;               // the same
  std::size_t refused = 0;               // keys that the kernel refuses
  std::size_t foreign_servers = 0;
  std::size_t audited = 0;      // virtual servers compared since the last whole comparison ended
  std::string last_compared{};  // when the last whole comparison ended; "": none has
  std::size_t repaired = 0;     // objects that others had changed, since the start
  boost::json::object conditions{};  // as /conditions answers
  std::vector<std::string> dropping_chains{};
  std::size_t kube_proxy_chains = 0, kube_proxy_sets = 0;
  bool kube_proxy_runs = false;
  struct Draining {
    std::string service{};
    std::size_t destinations = 0, connections = 0;
  };
  std::vector<Draining> draining{};
  boost::json::array drained_by_hand{};
};

boost::json::object status_json(const StatusInputs& inputs);

}  // namespace agent
