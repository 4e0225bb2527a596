// SPDX-License-Identifier: Apache-2.0
//
// Which Service gets a virtual server that several Services want: the oldest. The others are
// reported as lost, and the next oldest gets it when that one no longer claims it. Pure state, no
// I/O.
//
// A node port is additionally claimed under the unspecified address with that port, because its
// element in our nftables sets covers all node addresses and can belong to one Service only.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

// `plan` without the virtual servers in `keys`, and without the addresses and elements that only
// they needed.
ipvs::ServicePlan without_servers(ipvs::ServicePlan plan, const std::set<ipvs::ServerKey>& keys);

class Claims {
 public:
  struct Lost {
    ipvs::ServerKey key;
    ipvs::Owner holder;  // the older Service that has it
  };
  struct Granted {
    ipvs::ServicePlan plan;  // without what was lost
    std::vector<Lost> lost;
    std::set<ipvs::Owner> others;  // Services that won or lost something by this: plan them again
  };

  // Replaces the claims of `owner`, created at `since`, by one for every virtual server of `plan`.
  Granted replace(const ipvs::Owner& owner, k8s::UnixSeconds since, ipvs::ServicePlan plan);
  // Equals replace() with an empty plan; the result is Granted::others.
  std::set<ipvs::Owner> release(const ipvs::Owner& owner);

 private:
  // Oldest first; equal ages by name.
  using Claimant = std::pair<k8s::UnixSeconds, ipvs::Owner>;
  bool claim(const Claimant& self, const ipvs::ServerKey& key, Granted& granted);
  void withdraw_all_but(const std::vector<ipvs::ServerKey>& keep, const ipvs::Owner& owner,
                        std::set<ipvs::Owner>& others);

  std::map<ipvs::ServerKey, std::vector<Claimant>> claimants_;
  std::map<ipvs::Owner, std::vector<ipvs::ServerKey>> keys_of_;
};

}  // namespace agent
