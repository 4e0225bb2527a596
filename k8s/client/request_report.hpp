// SPDX-License-Identifier: Apache-2.0
//
// What became of one request to the API server, for metrics. Counted as client-go counts: a
// redirect that is followed, and a second try because the server had closed an idle connection,
// belong to the same request.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

namespace k8s {

struct RequestReport {
  std::string_view method;  // "GET", "POST"
  std::string_view host;    // of the server as configured, with its port
  unsigned status = 0;      // 0: no response came
  // From the call to the end of the response. nullopt: a watch, which is reported when its response
  // begins.
  std::optional<std::chrono::duration<double>> time = std::nullopt;
};

// Called for each request but those that were cancelled before a response came.
using OnRequest = std::function<void(const RequestReport&)>;

}  // namespace k8s
