// SPDX-License-Identifier: Apache-2.0
//
// What a start of the agent would change, as text: for `kube-ipvs plan -o diff`. Pure.
//
//   TCP 10.96.0.10:53 (Service kube-system/kube-dns)
//     scheduler rr -> lc
//     endpoint 10.244.1.5:53: added with weight 1
//     endpoint 10.244.1.9:53: weight 1 -> 0
//   TCP 192.0.2.7:80 (Service default/web)
//     masqueraded: no clients -> this node
//     clients in the cluster: endpoints of this node -> those of the cluster IP
//   kube-ipvs0: 10.96.0.77 added
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ipvs/state/desired.hpp"
#include "ipvs/state/element.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/kube_proxy_rules.hpp"
#include "ipvs/state/model.hpp"

namespace agent {

// Of the kernel, as far as it decides where traffic goes.
struct KernelPicture {
  std::map<ipvs::ServerKey, ipvs::Server> servers;
  std::set<ipvs::Address> addresses;    // bound
  std::vector<ipvs::Element> elements;  // of our table
  bool has_table = false;               // of ours
  bool has_kube_proxy_chains = false;
  std::optional<ipvs::KubeProxyRules> kube_proxy;  // what its rules do
  std::optional<ipvs::TableRules> rules;           // of our table, where it is new
};

using OwnerOf = std::function<std::string(const ipvs::ServerKey&)>;

// Of one virtual server: "scheduler rr -> lc", "endpoint 10.244.1.5:53: added with weight 1". Null:
// there is none; one of both is there.
std::vector<std::string> server_difference(const ipvs::Server* before, const ipvs::Server* after);
// "nftables: cluster-ips-4 10.96.0.1 . tcp . 80 added", with "nftables: " as `of`; ordered.
std::vector<std::string> text_difference(const std::string& of, const std::set<std::string>& before,
                                         const std::set<std::string>& after);

// One string for each line; none: no difference. What kube-proxy's rules do with a client is
// compared where they are in force: its chains are there, and our table is not.
std::vector<std::string> difference_lines(const KernelPicture& before, const KernelPicture& after,
                                          const OwnerOf& owner_of);

}  // namespace agent
