// SPDX-License-Identifier: Apache-2.0
//
// A plan, or what a kernel holds, as text that a test can state in full:
//
//   TCP 10.96.0.1:80 rr
//     -> 10.244.0.1:8080 weight 1
//   address 10.96.0.1
//   cluster-ips-4 10.96.0.1 . tcp . 80
//
// One line per virtual server, destination, address and set element, in the order of the plan.
#pragma once

#include <cstdio>
#include <ostream>
#include <string>

#include "ipvs/state/desired.hpp"
#include "test/fake/fake_kernel.hpp"

namespace agent::test {

inline std::string server_text(const ipvs::Server& server) {
  const ipvs::VirtualServer& settings = server.settings;
  std::string text = settings.key.text() + " " + settings.scheduler;
  if ((settings.flags & ipvs::kFlagPersistent) != 0) text += " persistent";
  if (settings.timeout_seconds != 0) text += " " + std::to_string(settings.timeout_seconds) + " s";
  if ((settings.flags & ipvs::kFlagSched1) != 0) text += " flag-1";
  if ((settings.flags & ipvs::kFlagSched2) != 0) text += " flag-2";
  text += "\n";
  for (const ipvs::Destination& d : server.destinations) {
    text += "  -> " + d.endpoint.text() + " weight " + std::to_string(d.weight) + "\n";
  }
  return text;
}

inline std::string plan_text(const ipvs::ServicePlan& plan) {
  std::string text;
  for (const ipvs::Server& server : plan.servers) text += server_text(server);
  for (const ipvs::Address& address : plan.addresses) {
    text += "address " + address.to_string() + "\n";
  }
  for (const ipvs::Element& element : plan.elements) text += element.text() + "\n";
  return text;
}

inline std::string kernel_text(const fake::FakeKernel& kernel) {
  ipvs::ServicePlan plan;
  for (const auto& [key, server] : kernel.servers) plan.servers.push_back(server);
  plan.addresses.assign(kernel.addresses.begin(), kernel.addresses.end());
  plan.elements.assign(kernel.elements.begin(), kernel.elements.end());
  return plan_text(plan);
}

}  // namespace agent::test
