// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of one Service as an answer shows them: what the cluster says of each, what the
// kernel holds of it, its state, and why. Pure.
//
//   state      meaning
//   serving    the kernel gives it new connections
//   ramping    the same with a part of its weight: slow start
//   draining   the kernel holds it with weight 0: open connections continue, no new ones
//   refused    the kernel refuses it, or a change of it
//   pending    it is wanted, and the kernel does not have it yet
//   out        it is not wanted: the reason says why
//   extra      the kernel has it although nobody wants it; the next comparison removes it
//
// "why" names what led to the state: the object, its field, the value, and since when, as the object
// says it; a time that the object does not say is left out.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/endpoint_facts.hpp"
#include "agent/decide/hand_drains.hpp"
#include "agent/decide/retries.hpp"
#include "agent/history/recorder.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

enum class EndpointState : std::uint8_t {
  kServing,
  kRamping,
  kDraining,
  kRefused,
  kPending,
  kOut,
  kExtra,
};
std::string_view name_of(EndpointState state);

struct Why {
  std::string object{};        // "Pod default/web-1"
  std::string field{};         // "status.conditions[Ready]"
  std::string value{};         // "False"
  k8s::UnixSeconds since = 0;  // 0: the object does not say
  std::string note{};          // a sentence for people, without its end
};

// One virtual server of a Service port, wanted and as the kernel has it.
struct ServerView {
  ipvs::ServerKey key{};
  std::string field{};                   // "clusterIP", "nodePort", "loadBalancerIP", "externalIP"
  bool local_only = false;               // a policy of Local holds for it
  const ipvs::Server* wanted = nullptr;  // nullptr: another Service has it, or it is foreign
  const ipvs::ServerReading* held = nullptr;  // nullptr: the kernel has none
};

struct EndpointRow {
  std::string port{};  // of the Service: its name, or its number
  ipvs::Endpoint endpoint{};
  std::string pod{};   // "default/web-1"; "": not a Pod
  std::string node{};  // "": not known
  bool is_local = false;
  EndpointState state = EndpointState::kOut;
  Why why{};
  std::uint32_t wanted_weight = 0;
  std::uint32_t weight = 0;  // in the kernel: the greatest of its virtual servers
  std::uint32_t active_connections = 0, inactive_connections = 0;
  ipvs::Counters counters{};
  EndpointClock clock{};
};

struct EndpointQuestion {
  const k8s::Service& service;
  const std::vector<ServerView>& servers;  // of one port
  const std::vector<Retries::Refusal>& refusals;
  std::uint32_t slow_start_seconds = 0;
  const HandDrains& hand_drains;
};

// The rows of one port, ordered by endpoint, some at a time: thousands would keep the event loop for
// milliseconds. What the question refers to must stay as it is until the last one.
class EndpointRows {
 public:
  EndpointRows(const EndpointQuestion& question, Candidates candidates);
  // Appends up to `most` rows; false: there are no more.
  bool next(std::size_t most, std::deque<EndpointRow>& rows);

 private:
  EndpointRow row_of(const ipvs::Endpoint& endpoint, const EndpointFacts* facts) const;
  std::optional<ipvs::Endpoint> next_held() const;

  const EndpointQuestion question_;
  Candidates candidates_;                 // those that have no row yet
  std::optional<ipvs::Endpoint> last_{};  // the last that has one
};
// All of them.
std::deque<EndpointRow> endpoint_rows(const EndpointQuestion& question, Candidates candidates);

boost::json::object to_json(const EndpointRow& row);
boost::json::object to_json(const Why& why);
boost::json::object to_json(const ipvs::Counters& counters);

}  // namespace agent
