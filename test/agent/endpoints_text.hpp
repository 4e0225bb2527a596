// SPDX-License-Identifier: Apache-2.0
//
// Endpoints as text that a test can state in full, one line each, ordered:
//
//   10.244.0.1:8080 ready serving local web-1
//   10.244.0.2:8080 ready serving node:other zone:here web-2
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "agent/decide/endpoints.hpp"

namespace agent::test {

inline std::string endpoint_text(const ServiceEndpoint& e) {
  std::string text = e.endpoint.text();
  if (e.ready) text += " ready";
  if (e.serving) text += " serving";
  if (e.terminating) text += " terminating";
  if (e.local) text += " local";
  if (e.weight != 1) text += " weight " + std::to_string(e.weight);
  if (e.node_hint != Hint::kNone) text += e.node_hint == Hint::kHere ? " node:here" : " node:other";
  if (e.zone_hint != Hint::kNone) text += e.zone_hint == Hint::kHere ? " zone:here" : " zone:other";
  if (!e.pod.empty()) text.append(" ").append(e.pod);
  return text += "\n";
}

// All ports of the Service together.
inline std::string endpoints_text(const ServiceEndpoints& endpoints) {
  std::vector<std::string> lines;
  for (const auto& of_port : endpoints) {
    for (const ServiceEndpoint& endpoint : of_port) lines.push_back(endpoint_text(endpoint));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

}  // namespace agent::test
