// SPDX-License-Identifier: Apache-2.0
//
// Which numbers a Service needs, by its type and policies. Internal to k8s/manifests; pure.
//
// Source: pkg/registry/core/service/storage and pkg/apis/core/validation of Kubernetes.
#pragma once

#include <vector>

#include "k8s/manifests/allocator.hpp"

namespace k8s {

IpFamily family_of(const Address& address);
const char* name_of_family(IpFamily family);
const char* name_of_protocol(Protocol protocol);

bool has_cluster_ip(const Service& service);
bool may_have_node_ports(const Service& service);
bool wants_node_ports(const Service& service, const ManifestExtras<Service>& extras);
bool has_health_check_port(const Service& service);

// The families in which the Service needs an address and has no explicit one.
std::vector<IpFamily> missing_families(const Service& service,
                                       const ManifestExtras<Service>& extras,
                                       const AllocationRanges& ranges);

}  // namespace k8s
