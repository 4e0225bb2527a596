// SPDX-License-Identifier: Apache-2.0
//
// What an agent would make the kernel hold, as a value that can be saved (agent/plan/plan_json.hpp)
// and compared with another: of other settings, of another version, of another day. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/kernel_difference.hpp"
#include "ipvs/state/model.hpp"

namespace agent {

// For which node it is.
struct PlanNode {
  std::string name{};
  std::set<ipvs::Address> addresses{};
  bool operator==(const PlanNode&) const = default;
};

struct Plan {
  PlanNode node{};
  std::map<ipvs::ServerKey, ipvs::Server> servers{};
  std::map<ipvs::ServerKey, std::string> owners{};  // "default/web"; one for each virtual server
  std::set<ipvs::Address> addresses{};              // virtual IPs
  // Of our nftables table. As nft writes them: "cluster-ips-4 10.96.0.1 . tcp . 80", and with the
  // chain before it "external: ip6 saddr != ::1 masquerade fully-random".
  std::set<std::string> elements{};
  std::set<std::string> rules{};
  // What is not done as asked: "Service default/web: AddressRefused: 192.0.2.1 is a gateway ...".
  std::set<std::string> refused{};
  bool operator==(const Plan&) const = default;
};

Plan plan_of(const KernelPicture& picture, const OwnerOf& owner_of, PlanNode node,
             std::set<std::string> refused);

// One string for each line, in the form of difference_lines(); none: no difference.
std::vector<std::string> plan_difference(const Plan& before, const Plan& after);

}  // namespace agent
