// SPDX-License-Identifier: Apache-2.0
//
// Reads core/v1 Node.
#include <utility>

#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

enum : SchemaNode {
  kSpec = kFirstOwn,
  kPodCidr,
  kPodCidrs,
  kTaint,
  kTaintKey,
  kStatus,
  kAddress,
  kAddressType,
  kAddressText,
};

constexpr auto kFields = object_fields(std::array{
    Field{doc::kRoot, {"spec", 2}, FieldType::kObject, kSpec},
    Field{kSpec, {"podCIDR", 1}, FieldType::kString, kPodCidr},
    Field{kSpec, {"podCIDRs", 7}, FieldType::kStrings, kPodCidrs},
    Field{kSpec, {"taints", 5}, FieldType::kObjects, kTaint},
    Field{kTaint, {"key", 1}, FieldType::kString, kTaintKey},
    Field{doc::kRoot, {"status", 3}, FieldType::kObject, kStatus},
    Field{kStatus, {"addresses", 5}, FieldType::kObjects, kAddress},
    Field{kAddress, {"type", 1}, FieldType::kString, kAddressType},
    Field{kAddress, {"address", 2}, FieldType::kString, kAddressText},
});
constexpr Schema kSchema(kFields);

class NodeReader final : public ObjectReader<Node> {
 public:
  NodeReader() : ObjectReader("Node", "") {}
  const Schema& schema() const override { return kSchema; }

 private:
  void start() override {
    object = {};
    single_pod_cidr_.clear();
  }

  bool wants_label(std::string_view key) const override {
    return key == "topology.kubernetes.io/zone" || key == "topology.kubernetes.io/region" ||
           key == "kubernetes.io/hostname";
  }

  void open(SchemaNode node) override {
    if (node != kAddress) return MetaReader::open(node);
    type_.clear();
    address_.clear();
  }

  void close(SchemaNode node) override {
    if (node != kAddress) return MetaReader::close(node);
    NodeAddress found;
    if (type_ == "ExternalIP") {
      found.type = NodeAddressType::kExternalIp;
    } else if (type_ != "InternalIP") {
      return;  // Hostname, InternalDNS, ExternalDNS
    }
    const auto address = parse_address(address_);
    if (!address) return leave_out(address.reason(), ".address");
    found.address = *address;
    object.addresses.push_back(found);
  }

  void scalar(SchemaNode node, const Scalar& value) override {
    switch (node) {
      case kPodCidr:
        single_pod_cidr_ = value.text;
        return;
      case kPodCidrs:
        take_pod_cidr(value.text);
        return;
      case kTaintKey:
        object.taint_keys.emplace_back(value.text);
        return;
      case kAddressType:
        type_ = value.text;
        return;
      case kAddressText:
        address_ = value.text;
        return;
      default:
        return MetaReader::scalar(node, value);
    }
  }

  void take_pod_cidr(std::string_view text) {
    Cidr cidr;
    if (accept(parse_cidr(text), cidr)) object.pod_cidrs.push_back(cidr);
  }

  void complete() override {
    if (!object.pod_cidrs.empty() || single_pod_cidr_.empty()) return;
    const auto cidr = parse_cidr(single_pod_cidr_);
    if (cidr) {
      object.pod_cidrs.push_back(*cidr);
    } else {
      leave_out_field("spec.podCIDR", cidr.reason());
    }
  }

  std::string single_pod_cidr_;
  std::string type_;
  std::string address_;
};

}  // namespace

template <>
std::unique_ptr<ObjectReader<Node>> make_reader() {
  return std::make_unique<NodeReader>();
}

}  // namespace k8s
