// SPDX-License-Identifier: Apache-2.0
//
// Which virtual servers that we did not make are taken over all the same: those that kube-proxy has
// left. Otherwise a node port that it served leads to a dead Pod for ever. Pure.
//
// IPVS does not say who made a virtual server. It is taken over if all of this holds:
//   1. It was there when the agent started. One that appears later is somebody's who is alive.
//   2. A Service wants one at exactly its address, protocol and port.
//   3. It looks like kube-proxy's: destinations masqueraded, of weight 0 or 1, flags of affinity
//      and scheduler only. (keepalived's and people's seldom are.)
//   4. It belongs there: its address and port are of those that the API server gives out, a cluster
//      IP or a node port; or its address was on kube-ipvs0 before anything of ours was. An external
//      IP proves nothing, since every user may ask for any; there all destinations must be endpoints
//      of the Service.
//   5. If it has no destination, which says nothing about its maker: its address was on kube-ipvs0,
//      or kube-proxy's chains are there.
//   6. Its address is in none of the networks of --ipvs-exclude-cidrs.
//
// Some releases of kube-proxy (1.20, for one) also make a virtual server for each node port at
// 127.0.0.1 and ::1, which no Service wants here. Where kube-proxy's chains are and a Service has that
// node port, it becomes ours, and so is deleted: nobody else would delete it, and it would take the
// connections to a program that listens there.
//
// --takeover decides what comes of it. With `report` and `off` it stays foreign, as does every
// address of kube-ipvs0 that we did not bind; without a record and a table of ours we made nothing.
//
//   --takeover   its virtual servers    its chains and ipsets    reported
//   auto         become ours            deleted once ours are    what is done
//                                       in force
//   report       stay                   stay                     what auto would do
//   off          stay                   stay                     nothing; metrics count it
#pragma once

#include <set>

#include "config/config.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

using Takeover = config::Takeover;

struct LeftoverEvidence {
  bool on_our_device = false;          // its address was on kube-ipvs0, and not by us
  bool has_kube_proxy_chains = false;  // somewhere on this node
};

// Rule 3.
bool looks_like_kube_proxys(const ipvs::Server& found, const ipvs::Observed& observed);
// Rules 4 and 5. `wanted`: of `plan`, with the key of `found`.
bool is_leftover(const ipvs::Server& found, const ipvs::Server& wanted,
                 const ipvs::ServicePlan& plan, const LeftoverEvidence& evidence);
// Whether one that satisfies 1, 3 and 6 is kube-proxy's for a node port of `plan` on a loopback
// address.
bool is_loopback_leftover(const ipvs::ServerKey& found, const ipvs::ServicePlan& plan,
                          const LeftoverEvidence& evidence);

}  // namespace agent
