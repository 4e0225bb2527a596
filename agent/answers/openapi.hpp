// SPDX-License-Identifier: Apache-2.0
//
// The questions and verbs of /run/kube-ipvs/api.sock as an OpenAPI 3.0 document.
#pragma once

#include <boost/json/object.hpp>

namespace agent {

boost::json::object openapi();

}  // namespace agent
