// SPDX-License-Identifier: Apache-2.0
//
// Which of a Service port's endpoints are near enough to this node to be preferred to the others.
// Pure.
//
// Rules (kube-proxy's, pkg/proxy/topology.go in 1.36). An endpoint may carry hints: for which
// nodes, and for which zones, it is meant.
//   - every ready endpoint has a node hint, and one of them names this node: those that do;
//   - else every ready endpoint has a zone hint, and one of them names this node's zone: those;
//   - else all of them. A node without a zone is named by no hint.
// They are about traffic that may leave the node: never about policy Local, and never about
// endpoints that serve while they terminate, as none is ready.
//
// Where hints come from:
//   EndpointSlices  as the slice controller, or whoever made the slice, wrote them;
//   Pods            as the slice controller would write them (k8s.io/endpointslice trafficdist.go)
//                   for spec.trafficDistribution: PreferSameZone, or its old name PreferClose,
//                   gives each endpoint the zone it is in, PreferSameNode its node as well.
// The annotation service.kubernetes.io/topology-mode is not followed for Pods: its shares of
// endpoints per zone depend on the CPUs of all nodes and are the controller's to work out. With
// --endpoint-source=endpointslice they are honoured.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/endpoints.hpp"

namespace agent {

// What a slice's hint, a list of node or zone names, says to the node or zone `own` ("": it has
// none).
Hint hint_of(const std::vector<std::string>& names, std::string_view own);
// The same for the hint that names one node or zone; "": there is no hint.
Hint hint_of(std::string_view name, std::string_view own);

// Of the endpoints chosen among those of the whole cluster, one family, the ones to prefer; their
// order stays. Never empty unless `chosen` is.
std::vector<ServiceEndpoint> prefer_near(std::vector<ServiceEndpoint> chosen);

}  // namespace agent
