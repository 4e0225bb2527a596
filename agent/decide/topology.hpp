// SPDX-License-Identifier: Apache-2.0
//
// Which of a Service port's endpoints this node prefers, because they are on this node or in its
// zone. Pure.
//
// Rules (kube-proxy's, pkg/proxy/topology.go in 1.36). An endpoint may carry hints, which list the
// nodes and the zones that should use it.
//   - If every ready endpoint has a node hint and at least one lists this node: the ones that do.
//   - Otherwise, if every ready endpoint has a zone hint and at least one lists this node's zone:
//     the ones that do.
//   - Otherwise all of them. No hint matches a node without a zone.
// Hints apply to traffic that may leave the node: not to policy Local, and not if no endpoint is
// ready and the terminating ones that still serve are used.
//
// Where hints come from:
//   EndpointSlices  the hints in the slice;
//   Pods            the hints that the slice controller would write for spec.trafficDistribution
//                   (k8s.io/endpointslice trafficdist.go): PreferSameZone, or its old name
//                   PreferClose, gives each endpoint the zone it is in; PreferSameNode also its
//                   node.
// The annotation service.kubernetes.io/topology-mode is ignored for Pods: how many endpoints it
// gives to each zone depends on the CPUs of all nodes. With --endpoint-source=endpointslice the
// controller's hints for it apply.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/endpoints.hpp"

namespace agent {

// What a hint of a slice, a list of nodes or zones, says to the node or zone `own` ("": this node
// has no zone).
Hint hint_of(const std::vector<std::string>& names, std::string_view own);
// The same for a hint of one node or zone; "": there is no hint.
Hint hint_of(std::string_view name, std::string_view own);

// The preferred ones of `chosen`, the endpoints of one family in the whole cluster. Keeps the
// order. Never empty unless `chosen` is.
std::vector<ServiceEndpoint> prefer_near(std::vector<ServiceEndpoint> chosen);

}  // namespace agent
