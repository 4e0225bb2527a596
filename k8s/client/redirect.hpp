// SPDX-License-Identifier: Apache-2.0
//
// Where a redirection of an API server leads. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "k8s/client/kubeconfig.hpp"

namespace k8s {

// The path and query that the header Location names, if it is on the same server: the same scheme,
// host and port. Nothing else is followed, because our credentials are for this server alone
// (client-go sends them to wherever it is led).
std::optional<std::string> redirect_target(const ApiAccess& access, std::string_view location);

}  // namespace k8s
