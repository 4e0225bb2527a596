// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/clients.hpp"

#include <algorithm>
#include <utility>

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Arrival;

// Whether networks of Pods say something of this family.
bool knows_family(const std::vector<ipvs::Network>& networks, const Address& address) {
  return std::any_of(networks.begin(), networks.end(), [&](const ipvs::Network& network) {
    return ipvs::family_of(network.address) == ipvs::family_of(address);
  });
}

Client client_at(const Address& address, const ExplainView& view) {
  const std::string text = address.to_string();
  Client client{.entry = Entry::kOutside, .source = address, .arrival = Arrival::kOther};
  if (is_of_this_host(address, view)) {
    client.entry = Entry::kHost;
    client.arrival = Arrival::kNone;
    client.words = "this host: " + text + " is its address";
    return client;
  }
  if (const auto pod = view.cluster.endpoints().find_pod_at(address)) {
    client.words = "Pod " + pod->key.text() + (pod->is_here ? " of this node" : " of another node");
    if (pod->is_here) {
      client.entry = Entry::kPod;
      client.arrival = Arrival::kPodInterface;
    }
    return client;
  }
  if (ipvs::is_in_any(address, view.rules.own_pods)) {
    client.entry = Entry::kPod;
    client.arrival = Arrival::kPodInterface;
    client.words = text + " is in this node's Pod network";
    return client;
  }
  if (!ipvs::is_in_any(address, view.rules.cluster_cidrs)) {
    client.words = "a client outside of the cluster";
    // Where no networks of Pods are known, it may be a Pod that comes by their interface.
    if (!knows_family(view.rules.cluster_cidrs, address)) client.arrival = Arrival::kUnknown;
    return client;
  }
  if (knows_family(view.rules.own_pods, address)) {
    client.words = text + " is in the Pod network of another node";
    return client;
  }
  client.arrival = Arrival::kUnknown;
  client.words = text + " is in the cluster's Pod network; of which node is not known";
  return client;
}

}  // namespace

bool is_of_this_host(const Address& address, const ExplainView& view) {
  return address.is_loopback() || view.ledger.holds(address) ||
         view.cluster.node_view().addresses.is_own(address);
}

std::optional<Address> source_of_host(const Address& to, const ExplainView& view) {
  const bool is_own = to.is_loopback() || view.cluster.node_view().addresses.is_own(to);
  if (is_own) return to;
  if (!view.ledger.holds(to)) return std::nullopt;
  if (!view.vips_are_routed) return to;
  const Address bind = view.config.bind_address;
  if (bind.is_unspecified() || ipvs::family_of(bind) != ipvs::family_of(to)) return std::nullopt;
  return bind;
}

boost::system::result<std::vector<Client>, BadQuestion> clients_of(const From& from,
                                                                   const ExplainView& view) {
  if (const auto* address = std::get_if<Address>(&from))
    return std::vector<Client>{client_at(*address, view)};
  const auto* key = std::get_if<k8s::ObjectKey>(&from);
  if (!key) {
    return std::vector<Client>{
        {.words = "not known: where it decides, the way is that of a client outside of the cluster "
                  "that source ranges allow"}};
  }
  const auto pod = view.cluster.endpoints().find_pod(*key);
  if (!pod) {
    return BadQuestion{.what = "from: there is no Pod " + key->text() +
                               " that this node knows; an IP address can be given in its place",
                       .is_missing = true};
  }
  std::vector<Client> clients;
  for (const Address& address : pod->addresses) {
    Client client = client_at(address, view);
    const bool shares = client.entry == Entry::kHost;
    client.words = "Pod " + key->text() + (pod->is_here ? " of this node" : " of another node") +
                   (shares ? ", on this host's network" : "");
    clients.push_back(std::move(client));
  }
  if (clients.empty()) return BadQuestion{.what = "from: Pod " + key->text() + " has no address"};
  return clients;
}

}  // namespace agent
