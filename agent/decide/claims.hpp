// SPDX-License-Identifier: Apache-2.0
//
// Who may have a virtual server that several Services want: the older Service wins, the others are
// told and succeed it when it lets go. Pure state, no I/O.
//
// A node port is claimed as a whole besides, under the key of the unspecified address with that
// port: its element of our nftables sets is the same for all addresses, and so can only be for one
// Service.
#pragma once

#include <map>
#include <set>
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
  struct Settled {
    ipvs::ServicePlan plan;  // what is left of the plan
    std::vector<Lost> lost;
    std::set<ipvs::Owner>
        others;  // Services whose claims are settled differently now: plan them anew
  };

  // `owner`, created at `since`, claims every virtual server of `plan`, and no longer any other.
  Settled settle(const ipvs::Owner& owner, k8s::UnixSeconds since, ipvs::ServicePlan plan);
  // Equals settle() with an empty plan.
  std::set<ipvs::Owner> release(const ipvs::Owner& owner);

 private:
  // Oldest first; equal ages by name.
  using Claimant = std::pair<k8s::UnixSeconds, ipvs::Owner>;
  bool claim(const Claimant& self, const ipvs::ServerKey& key, Settled& settled);
  void drop(const ipvs::Owner& owner, const std::vector<ipvs::ServerKey>& keep,
            std::set<ipvs::Owner>& others);

  std::map<ipvs::ServerKey, std::vector<Claimant>> claimants_;
  std::map<ipvs::Owner, std::vector<ipvs::ServerKey>> keys_of_;
};

}  // namespace agent
