// SPDX-License-Identifier: Apache-2.0
//
// The header Accept of a request.
#pragma once

#include <string_view>

namespace agent {

// Whether the client takes text/plain, by the rules of the z-pages of Kubernetes components
// (component-base/zpages/httputil): text/plain or a wildcard, without parameters but a charset of
// utf-8. Without the header, yes.
bool accepts_plain_text(std::string_view accept);

}  // namespace agent
