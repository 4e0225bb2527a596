// SPDX-License-Identifier: Apache-2.0
//
// Reads an API server's list of API groups (metav1.APIGroupList, GET /apis). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k8s {

constexpr std::size_t kMaxDiscovery = std::size_t{1} << 20;

// Whether the server has the group and version of one of the paths
// ("/apis/discovery.k8s.io/v1/endpointslices"). nullopt: `body` is no list of groups.
std::optional<bool> discovery_has(std::string_view body, const std::vector<std::string>& paths);

}  // namespace k8s
