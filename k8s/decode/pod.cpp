// SPDX-License-Identifier: Apache-2.0
//
// core/v1 Pod. Of 3 KB it keeps its addresses, state, labels and named ports: the rest, most of all
// metadata.managedFields, is skipped as it streams by.
#include <algorithm>
#include <iterator>
#include <utility>

#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

using doc::Field;
using doc::Place;
using doc::Scalar;
using doc::Schema;
using doc::Shape;

enum PodPlace : Place {
  kSpec = kFirstOwn,
  kNodeName,
  kHostNetwork,
  kContainer,
  kInitContainer,
  kRestartPolicy,
  kPort,
  kPortName,
  kPortProtocol,
  kPortNumber,
  kStatus,
  kPhase,
  kPodIp,
  kPodIps,
  kPodIpsIp,
  kCondition,
  kConditionType,
  kConditionStatus,
  kConditionTime,
};

constexpr auto kFields = object_fields(std::array{
    Field{doc::kRoot, {"spec", 2}, Shape::kObject, kSpec},
    Field{kSpec, {"nodeName", 10}, Shape::kString, kNodeName},
    Field{kSpec, {"hostNetwork", 11}, Shape::kBoolean, kHostNetwork},
    Field{kSpec, {"containers", 2}, Shape::kObjects, kContainer},
    Field{kContainer, {"ports", 6}, Shape::kObjects, kPort},
    Field{kSpec, {"initContainers", 20}, Shape::kObjects, kInitContainer},
    Field{kInitContainer, {"restartPolicy", 24}, Shape::kString, kRestartPolicy},
    Field{kInitContainer, {"ports", 6}, Shape::kObjects, kPort},
    Field{kPort, {"name", 1}, Shape::kString, kPortName},
    Field{kPort, {"protocol", 4}, Shape::kString, kPortProtocol},
    Field{kPort, {"containerPort", 3}, Shape::kInteger, kPortNumber},
    Field{doc::kRoot, {"status", 3}, Shape::kObject, kStatus},
    Field{kStatus, {"phase", 1}, Shape::kString, kPhase},
    Field{kStatus, {"podIP", 6}, Shape::kString, kPodIp},
    Field{kStatus, {"podIPs", 12}, Shape::kObjects, kPodIps},
    Field{kPodIps, {"ip", 1}, Shape::kString, kPodIpsIp},
    Field{kStatus, {"conditions", 2}, Shape::kObjects, kCondition},
    Field{kCondition, {"type", 1}, Shape::kString, kConditionType},
    Field{kCondition, {"status", 2}, Shape::kString, kConditionStatus},
    Field{kCondition, {"lastTransitionTime", 4}, Shape::kTime, kConditionTime},
});
constexpr Schema kSchema(kFields);

Parsed<PodPhase> parse_phase(std::string_view text) {
  if (text.empty() || text == "Pending") return PodPhase::kPending;
  if (text == "Running") return PodPhase::kRunning;
  if (text == "Succeeded") return PodPhase::kSucceeded;
  if (text == "Failed") return PodPhase::kFailed;
  if (text == "Unknown") return PodPhase::kUnknown;
  return Parsed<PodPhase>::failed(quoted(text) +
                                  " is not a phase (Pending, Running, Succeeded, Failed, Unknown)");
}

class PodReader final : public ObjectReader<Pod> {
 public:
  PodReader() : ObjectReader("Pod", "") {}
  const Schema& schema() const override { return kSchema; }

 private:
  void start() override {
    object = {};
    single_pod_ip_.clear();
    sidecar_ports_.clear();
    in_init_container_ = false;
  }

  void open(Place place) override {
    switch (place) {
      case kInitContainer:
        in_init_container_ = true;
        restarts_always_ = false;
        init_ports_.clear();
        return;
      case kPort:
        port_ = {};
        return;
      case kPodIps:
        pod_ip_is_set_ = false;
        return;
      case kCondition:
        is_ready_condition_ = condition_is_true_ = false;
        condition_time_ = 0;
        return;
      default:
        return MetaReader::open(place);
    }
  }

  void close(Place place) override {
    switch (place) {
      case kInitContainer:
        close_init_container();
        return;
      case kPort:
        close_port();
        return;
      case kPodIps:
        if (!pod_ip_is_set_) refuse("missing", ".ip");
        return;
      case kCondition:
        if (is_ready_condition_) close_ready_condition();
        return;
      default:
        return MetaReader::close(place);
    }
  }

  void scalar(Place place, const Scalar& value) override {
    switch (place) {
      case kNodeName:
        object.node_name = value.text;
        return;
      case kHostNetwork:
        object.host_network = value.boolean;
        return;
      case kRestartPolicy:
        restarts_always_ = value.text == "Always";
        return;
      case kPortName:
        port_.name = value.text;
        return;
      case kPortProtocol:
        if (!value.text.empty()) accept(parse_protocol(value.text), port_.protocol);
        return;
      case kPortNumber:
        accept(parse_port(value.integer), port_.container_port);
        return;
      case kPhase:
        accept(parse_phase(value.text), object.phase);
        return;
      case kPodIp:
        single_pod_ip_ = value.text;
        return;
      case kPodIpsIp:
        take_pod_ip(value.text);
        return;
      case kConditionType:
        is_ready_condition_ = value.text == "Ready";
        return;
      case kConditionStatus:
        condition_is_true_ = value.text == "True";
        return;
      case kConditionTime:
        take_condition_time(value);
        return;
      default:
        return MetaReader::scalar(place, value);
    }
  }

  void take_pod_ip(std::string_view text) {
    pod_ip_is_set_ = true;
    Address address;
    if (accept(parse_address(text), address)) object.pod_ips.push_back(address);
  }

  // A time that is none is no reason to go without the Pod: it only says when a weight began to
  // grow.
  void take_condition_time(const Scalar& value) {
    const auto time = time_of(value);
    condition_time_ = time ? *time : 0;
  }

  void close_ready_condition() {
    object.ready = condition_is_true_;
    object.ready_since = condition_time_;
  }

  void close_port() {
    if (port_.container_port == 0) refuse("missing", ".containerPort");
    if (port_.name.empty()) return;
    (in_init_container_ ? init_ports_ : object.ports).push_back(std::move(port_));
  }

  // An init container that keeps running (KEP-753) serves; any other has ended before the Pod is
  // ready.
  void close_init_container() {
    in_init_container_ = false;
    if (!restarts_always_) return;
    std::move(init_ports_.begin(), init_ports_.end(), std::back_inserter(sidecar_ports_));
  }

  void complete() override {
    // Named ports are looked up in `containers` first (FindPort), whatever comes first in the text.
    std::move(sidecar_ports_.begin(), sidecar_ports_.end(), std::back_inserter(object.ports));
    if (!object.pod_ips.empty() || single_pod_ip_.empty()) return;
    const auto address = parse_address(single_pod_ip_);
    if (address) {
      object.pod_ips.push_back(*address);
    } else {
      refuse_field("status.podIP", address.reason());
    }
  }

  std::string single_pod_ip_;
  std::vector<ContainerPort> init_ports_;     // of the init container being read
  std::vector<ContainerPort> sidecar_ports_;  // of those that restart always
  ContainerPort port_;
  bool in_init_container_ = false;
  bool restarts_always_ = false;
  bool pod_ip_is_set_ = false;
  bool is_ready_condition_ = false;
  bool condition_is_true_ = false;
  UnixSeconds condition_time_ = 0;
};

}  // namespace

template <>
std::unique_ptr<ObjectReader<Pod>> make_reader() {
  return std::make_unique<PodReader>();
}

}  // namespace k8s
