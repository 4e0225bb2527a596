// SPDX-License-Identifier: Apache-2.0
//
// Which Service gets a virtual server that several Services want. First counts by which field a
// Service has the address, that is, who gave it: a cluster IP and a node port are allocated by the
// API server, a load balancer's IP comes from its controller, and spec.externalIPs from anybody who
// may write a Service. Then the older Service counts more, and at last the name. The others are
// reported as lost, and the next gets it when the holder no longer claims it. Pure state, no I/O.
//
// A node port is additionally claimed under the unspecified address with that port, because its
// element in our nftables sets covers all node addresses and can belong to one Service only.
#pragma once

#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/decide/address_policy.hpp"
#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

// How much the claims of a Service count.
struct Standing {
  // Implicit: for most Services the age says it all.
  Standing(k8s::UnixSeconds creation = 0, std::vector<ipvs::Address> only_external_ips = {})
      : since(creation), external_ips(std::move(only_external_ips)) {}

  k8s::UnixSeconds since = 0;  // its creation; kLingering: it is deleted, and any other counts more
  std::vector<ipvs::Address> external_ips;  // that only spec.externalIPs names, ordered
};
inline constexpr k8s::UnixSeconds kLingering = std::numeric_limits<k8s::UnixSeconds>::max();

// `plan` without the virtual servers in `keys`, and without the addresses and elements that only
// they needed.
ipvs::ServicePlan without_servers(ipvs::ServicePlan plan, const std::set<ipvs::ServerKey>& keys);

class Claims {
 public:
  struct Lost {
    ipvs::ServerKey key;
    ipvs::Owner holder;  // the Service that has it
  };
  struct Granted {
    ipvs::ServicePlan plan;  // without what was lost
    std::vector<Lost> lost;
    std::set<ipvs::Owner> others;  // Services that won or lost something by this: plan them again
  };

  // Replaces the claims of `owner` by one for every virtual server of `plan`.
  Granted replace(const ipvs::Owner& owner, const Standing& standing, ipvs::ServicePlan plan);
  // Equals replace() with an empty plan; the result is Granted::others.
  std::set<ipvs::Owner> release(const ipvs::Owner& owner);

 private:
  // In the order in which they count.
  struct Claimant {
    AddressField field = AddressField::kClusterIp;
    bool is_lingering = false;
    k8s::UnixSeconds since = 0;
    ipvs::Owner owner;
    bool operator==(const Claimant&) const = default;
    auto rank() const { return std::tie(is_lingering, field, since, owner); }
    bool operator<(const Claimant& other) const { return rank() < other.rank(); }
  };
  bool claim(const Claimant& self, const ipvs::ServerKey& key, Granted& granted);
  void withdraw_all_but(const std::vector<ipvs::ServerKey>& keep, const ipvs::Owner& owner,
                        std::set<ipvs::Owner>& others);

  std::map<ipvs::ServerKey, std::vector<Claimant>> claimants_;
  std::map<ipvs::Owner, std::vector<ipvs::ServerKey>> keys_of_;
};

}  // namespace agent
