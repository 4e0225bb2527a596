// SPDX-License-Identifier: Apache-2.0
//
// Reads discovery.k8s.io EndpointSlice, v1 and v1beta1. v1beta1 has node and zone in a map
// `topology` instead of `nodeName` and `zone`.
#include <algorithm>
#include <optional>
#include <utility>

#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

enum : SchemaNode {
  kAddressType = kFirstOwn,
  kEndpoint,
  kAddresses,
  kConditions,
  kReady,
  kServing,
  kTerminating,
  kNodeName,
  kZone,
  kTopology,
  kTargetRef,
  kTargetKind,
  kTargetName,
  kHints,
  kZoneHint,
  kZoneHintName,
  kNodeHint,
  kNodeHintName,
  kPort,
  kPortName,
  kPortProtocol,
  kPortNumber,
};

constexpr auto kFields = object_fields(std::array{
    Field{doc::kRoot, {"addressType", 4}, FieldType::kString, kAddressType},
    Field{doc::kRoot, {"endpoints", 2}, FieldType::kObjects, kEndpoint},
    Field{kEndpoint, {"addresses", 1}, FieldType::kStrings, kAddresses},
    Field{kEndpoint, {"conditions", 2}, FieldType::kObject, kConditions},
    Field{kConditions, {"ready", 1}, FieldType::kBoolean, kReady},
    Field{kConditions, {"serving", 2}, FieldType::kBoolean, kServing},
    Field{kConditions, {"terminating", 3}, FieldType::kBoolean, kTerminating},
    Field{kEndpoint, {"nodeName", 6}, FieldType::kString, kNodeName},
    Field{kEndpoint, {"zone", 7}, FieldType::kString, kZone},
    Field{kEndpoint, {"topology"}, FieldType::kMap, kTopology},
    Field{kEndpoint, {"targetRef", 4}, FieldType::kObject, kTargetRef},
    Field{kTargetRef, {"kind", 1}, FieldType::kString, kTargetKind},
    Field{kTargetRef, {"name", 3}, FieldType::kString, kTargetName},
    Field{kEndpoint, {"hints", 8}, FieldType::kObject, kHints},
    Field{kHints, {"forZones", 1}, FieldType::kObjects, kZoneHint},
    Field{kZoneHint, {"name", 1}, FieldType::kString, kZoneHintName},
    Field{kHints, {"forNodes", 2}, FieldType::kObjects, kNodeHint},
    Field{kNodeHint, {"name", 1}, FieldType::kString, kNodeHintName},
    Field{doc::kRoot, {"ports", 3}, FieldType::kObjects, kPort},
    Field{kPort, {"name", 1}, FieldType::kString, kPortName},
    Field{kPort, {"protocol", 2}, FieldType::kString, kPortProtocol},
    Field{kPort, {"port", 3}, FieldType::kInteger, kPortNumber},
});
constexpr Schema kSchema(kFields);

constexpr const char* kServiceName = "kubernetes.io/service-name";
constexpr std::string_view kHostnameTopology = "kubernetes.io/hostname";
constexpr std::string_view kZoneTopology = "topology.kubernetes.io/zone";

class SliceReader final : public ObjectReader<EndpointSlice> {
 public:
  SliceReader() : ObjectReader("EndpointSlice", "discovery.k8s.io") {}
  const Schema& schema() const override { return kSchema; }

 private:
  void start() override {
    object = {};
    address_type_.clear();
    bad_address_.reset();
  }

  bool wants_label(std::string_view key) const override { return key == kServiceName; }
  bool wants_own(SchemaNode, std::string_view key) const override {
    return key == kHostnameTopology || key == kZoneTopology;
  }

  void entry_own(SchemaNode, std::string_view key, std::string_view value) override {
    // If a server sends both, the fields of v1 take precedence.
    SliceEndpoint& endpoint = object.endpoints.back();
    std::string& to = key == kZoneTopology ? endpoint.zone : endpoint.node_name;
    if (to.empty()) to = value;
  }

  void open(SchemaNode node) override {
    switch (node) {
      case kEndpoint:
        object.endpoints.emplace_back();
        has_address_ = false;
        return;
      case kTargetRef:
        target_kind_.clear();
        target_name_.clear();
        return;
      case kPort:
        object.ports.emplace_back();
        return;
      default:
        return MetaReader::open(node);
    }
  }

  void close(SchemaNode node) override {
    switch (node) {
      case kEndpoint:
        if (!has_address_) note_bad_address(".addresses", "missing");
        return;
      case kTargetRef:
        if (target_kind_ == "Pod") object.endpoints.back().pod_name = target_name_;
        return;
      case kPort:
        // No number, or 0, means "all ports", which a proxy cannot serve. kube-proxy ignores it
        // too.
        if (object.ports.back().port == 0) object.ports.pop_back();
        return;
      default:
        return MetaReader::close(node);
    }
  }

  void scalar(SchemaNode node, const Scalar& value) override {
    if (node >= kPort) return scalar_of_port(node, value);
    if (node == kAddressType) {
      address_type_ = value.text;
      return;
    }
    if (node < kFirstOwn) return MetaReader::scalar(node, value);
    SliceEndpoint& endpoint = object.endpoints.back();
    switch (node) {
      case kAddresses:
        take_address(value.text);
        return;
      case kReady:
        endpoint.ready = value.boolean;
        return;
      case kServing:
        endpoint.serving = value.boolean;
        return;
      case kTerminating:
        endpoint.terminating = value.boolean;
        return;
      case kNodeName:
        endpoint.node_name = value.text;
        return;
      case kZone:
        endpoint.zone = value.text;
        return;
      case kTargetKind:
        target_kind_ = value.text;
        return;
      case kTargetName:
        target_name_ = value.text;
        return;
      case kZoneHintName:
        endpoint.zone_hints.emplace_back(value.text);
        return;
      case kNodeHintName:
        endpoint.node_hints.emplace_back(value.text);
        return;
      default:
        return;
    }
  }

  void scalar_of_port(SchemaNode node, const Scalar& value) {
    SlicePort& port = object.ports.back();
    switch (node) {
      case kPortName:
        port.name = value.text;
        return;
      case kPortProtocol:
        if (!value.text.empty()) accept(parse_protocol(value.text), port.protocol);
        return;
      case kPortNumber:
        accept(parse_port(value.integer, 0), port.port);
        return;
      default:
        return;
    }
  }

  void take_address(std::string_view text) {
    if (has_address_) return;  // only the first counts
    has_address_ = true;
    const auto address = parse_routable_address(text);
    if (address) {
      object.endpoints.back().address = *address;
    } else {
      note_bad_address(".addresses[0]", address.reason());
    }
  }

  // It is a fault unless addressType is FQDN, and that field may follow later.
  void note_bad_address(std::string_view below, std::string reason) {
    if (bad_address_) return;
    const std::size_t index = object.endpoints.size() - 1;
    bad_address_ = {"endpoints[" + std::to_string(index) + "]" + std::string(below),
                    std::move(reason)};
  }

  void complete() override {
    take_labels();
    check_port_names();
    if (address_type_ == "FQDN") {
      object.endpoints.clear();
      return;
    }
    if (address_type_ != "IPv4" && address_type_ != "IPv6") {
      return refuse_field("addressType", address_type_.empty()
                                             ? "missing"
                                             : quoted(address_type_) +
                                                   " is not an address type (IPv4, IPv6, FQDN)");
    }
    if (bad_address_) return refuse_field(bad_address_->field, bad_address_->reason);
    check_families();
  }

  void take_labels() {
    Labels& labels = object.meta.labels;
    if (const auto it = labels.find(kServiceName); it != labels.end()) {
      object.service_name = std::move(it->second);
    }
    labels = {};
  }

  void check_families() {
    const bool v4 = address_type_ == "IPv4";
    for (std::size_t i = 0; i < object.endpoints.size(); ++i) {
      const Address& address = object.endpoints[i].address;
      if (address.is_v4() == v4) continue;
      return refuse_field("endpoints[" + std::to_string(i) + "].addresses[0]",
                          address.to_string() + " in a slice of addressType " + address_type_);
    }
  }

  void check_port_names() {
    std::vector<std::string_view> names;
    names.reserve(object.ports.size());
    for (const SlicePort& port : object.ports) names.push_back(port.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) refuse_field("ports", "two are named " + quoted(*twice));
  }

  struct BadAddress {
    std::string field;
    std::string reason;
  };
  std::string address_type_;
  std::string target_kind_;
  std::string target_name_;
  std::optional<BadAddress> bad_address_;
  bool has_address_ = false;
};

}  // namespace

template <>
std::unique_ptr<ObjectReader<EndpointSlice>> make_reader() {
  return std::make_unique<SliceReader>();
}

}  // namespace k8s
