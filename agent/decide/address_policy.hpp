// SPDX-License-Identifier: Apache-2.0
//
// The one place that knows which addresses may be served and bound on this node, and why not. Pure
// state, no I/O.
//
// A Service may name an address that this node needs for something else. To bind it would cut the
// node off from it; where it is the way to the API server, for good. So each holder of an address
// (HolderKind) protects it, depending on which field of the Service names it (AddressField), that
// is, on who gave it:
//
//   holder                             clusterIPs    status.loadBalancer  spec.externalIPs
//   ---------------------------------  ------------  -------------------  ----------------
//   API server, or a proxy on the way  refused (1)   refused              refused
//   gateway of this node               refused       refused              refused
//   nameserver of this node            served        refused (2)          refused
//   InternalIP of another Node         served        refused (3)          refused (3)
//
//   (1) Default/kubernetes is served at its own cluster IP: that is the API server.
//   (2) Served if the Service has a port 53: it is the nameserver.
//   (3) The first InternalIP of each family protects always. The others do not if the Node lists
//       the cluster IP of default/kubernetes too: its cloud reports the addresses of kube-ipvs0.
//
// What the API server allocates counts more than what a Node says of itself, and what this kernel
// says (its routes, its addresses, its connections) more than both.
//
// An address of this node's own is served, whoever else has it, and never bound or deleted. Only
// the ports are protected there on which the API server, the proxy or the nameserver is used: of
// node ports, too.
//
// An address may have any number of holders; it is free when the last of them is gone.
//
// Until the first list of the other Nodes, if they are needed at all, what externalIPs and load
// balancers name is awaited: neither refused nor served. So nothing is bound that is a Node's.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

// The field by which a Service has an address, in the order in which they count: a claim by a field
// before wins (agent/decide/claims.hpp).
enum class AddressField : std::uint8_t { kClusterIp, kNodePort, kLoadBalancer, kExternalIp };

enum class HolderKind : std::uint8_t { kApiServer, kProxy, kGateway, kNameserver, kNode };

struct Holder {
  HolderKind kind = HolderKind::kNode;
  std::string name{};  // of a Node; else where it is known from, if from several places
  std::strong_ordering operator<=>(const Holder&) const = default;
};

// An address and port that a Service asks for.
struct AddressUse {
  ipvs::Address address{};
  std::uint16_t port = 0;
  ipvs::Protocol protocol = ipvs::Protocol::kTcp;
  AddressField field = AddressField::kClusterIp;
  bool is_kubernetes = false;  // of Service default/kubernetes
  bool answers_dns = false;    // the Service has a port 53
};

class AddressPolicy {
 public:
  using Addresses = std::set<ipvs::Address>;

  AddressPolicy() = default;
  explicit AddressPolicy(Addresses own) : own_(std::move(own)) {}

  // The changes. Each returns the addresses for which the answers below may be others now.
  //
  // Addresses on interfaces of this node other than kube-ipvs0.
  Addresses set_own(Addresses own);
  // Replaces what the holder has; the port is where this node uses it, 0 if that is no matter. Of
  // a Node: its InternalIPs, in its own order.
  Addresses set(const Holder& holder, std::vector<ipvs::Endpoint> held);
  // The cluster IPs of Service default/kubernetes.
  Addresses set_kubernetes(std::vector<ipvs::Address> cluster_ips);
  // Whether the InternalIPs of other Nodes are still to come. Concerns every external address.
  void await_nodes(bool awaited) { awaits_nodes_ = awaited; }

  // Why it must not be served: "the address of Node worker-2"; nullopt: it may be.
  std::optional<std::string> refusal(const AddressUse& use) const;
  // Whether that is not known yet: it is not served, and nothing is said.
  bool is_awaited(const AddressUse& use) const {
    return awaits_nodes_ && use.field > AddressField::kNodePort && !is_own(use.address);
  }
  // Whether an address that is served is to be bound to kube-ipvs0.
  bool is_own(const ipvs::Address& address) const { return own_.contains(address); }
  const Addresses& own() const { return own_; }
  bool has_holder(const ipvs::Address& address) const { return holders_.contains(address); }
  // What the holders of a kind have, for messages and at the start.
  std::vector<ipvs::Endpoint> held_by(HolderKind kind) const;

 private:
  struct Held {
    Holder holder;
    std::uint16_t port = 0;
    bool is_first = false;  // of its family, in the holder's list
  };
  bool protects(const Held& held, const AddressUse& use) const;
  bool reports_virtual_ips(const Holder& node) const;
  void index(const Holder& holder, const std::vector<ipvs::Endpoint>& held);
  void forget(const Holder& holder, const std::vector<ipvs::Endpoint>& held);

  Addresses own_;
  bool awaits_nodes_ = false;
  std::vector<ipvs::Address> kubernetes_;
  std::map<Holder, std::vector<ipvs::Endpoint>> held_;
  std::unordered_map<ipvs::Address, std::vector<Held>> holders_;
};

}  // namespace agent
