// SPDX-License-Identifier: Apache-2.0
//
// Reads core/v1 Pod: addresses, state, labels and named ports. The rest of its 3 KB or so, most of
// it metadata.managedFields, is skipped as it arrives.
#include <algorithm>
#include <iterator>
#include <utility>

#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

enum : SchemaNode {
  kSpec = kFirstOwn,
  kNodeName,
  kHostNetwork,
  kHostname,
  kSubdomain,
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
    Field{doc::kRoot, {"spec", 2}, FieldType::kObject, kSpec},
    Field{kSpec, {"nodeName", 10}, FieldType::kString, kNodeName},
    Field{kSpec, {"hostNetwork", 11}, FieldType::kBoolean, kHostNetwork},
    Field{kSpec, {"hostname", 16}, FieldType::kString, kHostname},
    Field{kSpec, {"subdomain", 17}, FieldType::kString, kSubdomain},
    Field{kSpec, {"containers", 2}, FieldType::kObjects, kContainer},
    Field{kContainer, {"ports", 6}, FieldType::kObjects, kPort},
    Field{kSpec, {"initContainers", 20}, FieldType::kObjects, kInitContainer},
    Field{kInitContainer, {"restartPolicy", 24}, FieldType::kString, kRestartPolicy},
    Field{kInitContainer, {"ports", 6}, FieldType::kObjects, kPort},
    Field{kPort, {"name", 1}, FieldType::kString, kPortName},
    Field{kPort, {"protocol", 4}, FieldType::kString, kPortProtocol},
    Field{kPort, {"containerPort", 3}, FieldType::kInteger, kPortNumber},
    Field{doc::kRoot, {"status", 3}, FieldType::kObject, kStatus},
    Field{kStatus, {"phase", 1}, FieldType::kString, kPhase},
    Field{kStatus, {"podIP", 6}, FieldType::kString, kPodIp},
    Field{kStatus, {"podIPs", 12}, FieldType::kObjects, kPodIps},
    Field{kPodIps, {"ip", 1}, FieldType::kString, kPodIpsIp},
    Field{kStatus, {"conditions", 2}, FieldType::kObjects, kCondition},
    Field{kCondition, {"type", 1}, FieldType::kString, kConditionType},
    Field{kCondition, {"status", 2}, FieldType::kString, kConditionStatus},
    Field{kCondition, {"lastTransitionTime", 4}, FieldType::kTime, kConditionTime},
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

  void open(SchemaNode node) override {
    switch (node) {
      case kInitContainer:
        in_init_container_ = true;
        restarts_always_ = false;
        init_ports_.clear();
        return;
      case kPort:
        port_ = {};
        port_is_lost_ = false;
        return;
      case kPodIps:
        pod_ip_is_set_ = false;
        return;
      case kCondition:
        is_ready_condition_ = condition_is_true_ = false;
        condition_time_ = 0;
        return;
      default:
        return MetaReader::open(node);
    }
  }

  void close(SchemaNode node) override {
    switch (node) {
      case kInitContainer:
        close_init_container();
        return;
      case kPort:
        close_port();
        return;
      case kPodIps:
        if (!pod_ip_is_set_) leave_out("missing", ".ip");
        return;
      case kCondition:
        if (is_ready_condition_) close_ready_condition();
        return;
      default:
        return MetaReader::close(node);
    }
  }

  void scalar(SchemaNode node, const Scalar& value) override {
    switch (node) {
      case kNodeName:
        object.node_name = value.text;
        return;
      case kHostNetwork:
        object.host_network = value.boolean;
        return;
      case kHostname:
        take_label(value.text, object.hostname);
        return;
      case kSubdomain:
        take_label(value.text, object.subdomain);
        return;
      case kRestartPolicy:
        restarts_always_ = value.text == "Always";
        return;
      case kPortName:
        port_.name = value.text;
        return;
      case kPortProtocol:
        if (value.text.empty()) return;
        if (!accept(parse_protocol(value.text), port_.protocol)) port_is_lost_ = true;
        return;
      case kPortNumber:
        if (!accept(parse_port(value.integer), port_.container_port)) port_is_lost_ = true;
        return;
      case kPhase:
        if (!accept(parse_phase(value.text), object.phase)) object.phase = PodPhase::kUnknown;
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
        return MetaReader::scalar(node, value);
    }
  }

  void take_label(std::string_view text, std::string& to) {
    if (text.empty() || is_dns_label(text)) {
      to = text;
    } else {
      leave_out(quoted(text) + " is not an RFC 1123 label");
    }
  }

  void take_pod_ip(std::string_view text) {
    pod_ip_is_set_ = true;
    Address address;
    if (accept(parse_address(text), address)) object.pod_ips.push_back(address);
  }

  // An invalid time is ignored, not refused: it only says when slow start begins.
  void take_condition_time(const Scalar& value) {
    const auto time = time_of(value);
    condition_time_ = time ? *time : 0;
  }

  void close_ready_condition() {
    object.ready = condition_is_true_;
    object.ready_since = condition_time_;
  }

  void unreadable(SchemaNode node, const std::string& reason) override {
    switch (node) {
      case kPortName:
      case kPortProtocol:
      case kPortNumber:
        port_is_lost_ = true;
        return;
      case kPodIpsIp:
        pod_ip_is_set_ = true;
        return;
      case kPhase:
        object.phase = PodPhase::kUnknown;
        return;
      default:
        return MetaReader::unreadable(node, reason);
    }
  }

  void close_port() {
    if (port_is_lost_) return;
    if (port_.container_port == 0) return leave_out("missing", ".containerPort");
    if (port_.name.empty()) return;
    (in_init_container_ ? init_ports_ : object.ports).push_back(std::move(port_));
  }

  // An init container that keeps running (KEP-753) can serve; any other has ended before the Pod is
  // ready.
  void close_init_container() {
    in_init_container_ = false;
    if (!restarts_always_) return;
    std::move(init_ports_.begin(), init_ports_.end(), std::back_inserter(sidecar_ports_));
  }

  void complete() override {
    // Named ports are searched in `containers` first (FindPort), whatever the order in the
    // document.
    std::move(sidecar_ports_.begin(), sidecar_ports_.end(), std::back_inserter(object.ports));
    if (!object.pod_ips.empty() || single_pod_ip_.empty()) return;
    const auto address = parse_address(single_pod_ip_);
    if (address) {
      object.pod_ips.push_back(*address);
    } else {
      leave_out_field("status.podIP", address.reason());
    }
  }

  std::string single_pod_ip_;
  std::vector<ContainerPort> init_ports_;     // of the current init container
  std::vector<ContainerPort> sidecar_ports_;  // of init containers with restartPolicy Always
  ContainerPort port_;
  bool in_init_container_ = false;
  bool restarts_always_ = false;
  bool port_is_lost_ = false;  // the current one has no usable name, number or protocol
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
