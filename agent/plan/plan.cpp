// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/plan.hpp"

#include <utility>

#include "ipvs/nftables/rule_text.hpp"

namespace agent {
namespace {

using ipvs::Server;
using ipvs::ServerKey;
using Lines = std::vector<std::string>;

std::set<std::string> texts_of(const std::set<ipvs::Address>& addresses) {
  std::set<std::string> texts;
  for (const ipvs::Address& each : addresses) texts.insert(each.to_string());
  return texts;
}

// Of a virtual server: its owner, or who had it and who has it.
std::string owner_text(const Plan& before, const Plan& after, const ServerKey& key) {
  const auto old = before.owners.find(key);
  const auto now = after.owners.find(key);
  if (old == before.owners.end()) return now == after.owners.end() ? "" : now->second;
  if (now == after.owners.end() || now->second == old->second) return old->second;
  return old->second + " -> " + now->second;
}

const Server* find(const Plan& plan, const ServerKey& key) {
  const auto place = plan.servers.find(key);
  return place == plan.servers.end() ? nullptr : &place->second;
}

Lines compare_servers(const Plan& before, const Plan& after) {
  std::set<ServerKey> keys;
  for (const auto& [key, server] : before.servers) keys.insert(key);
  for (const auto& [key, server] : after.servers) keys.insert(key);
  Lines all;
  for (const ServerKey& key : keys) {
    Lines lines = server_difference(find(before, key), find(after, key));
    const std::string owner = owner_text(before, after, key);
    const bool has_other_owner = owner.find(" -> ") != std::string::npos;
    if (lines.empty() && !has_other_owner) continue;
    all.push_back(key.text() + (owner.empty() ? "" : " (Service " + owner + ")"));
    for (std::string& line : lines) all.push_back("  " + std::move(line));
  }
  return all;
}

}  // namespace

Plan plan_of(const KernelPicture& picture, const OwnerOf& owner_of, PlanNode node,
             std::set<std::string> refused) {
  Plan plan{.node = std::move(node),
            .servers = picture.servers,
            .addresses = picture.addresses,
            .refused = std::move(refused)};
  for (const auto& [key, server] : picture.servers) {
    if (std::string owner = owner_of(key); !owner.empty()) plan.owners[key] = std::move(owner);
  }
  for (const ipvs::Element& each : picture.elements) plan.elements.insert(each.text());
  if (!picture.rules) return plan;
  for (const ipvs::Rule& rule : ipvs::table_rules(*picture.rules)) {
    plan.rules.insert(std::string(rule.chain) + ": " + ipvs::text_of(rule));
  }
  return plan;
}

Lines plan_difference(const Plan& before, const Plan& after) {
  Lines all = compare_servers(before, after);
  const auto append = [&all](Lines lines) {
    for (std::string& line : lines) all.push_back(std::move(line));
  };
  append(text_difference("kube-ipvs0: ", texts_of(before.addresses), texts_of(after.addresses)));
  append(text_difference("nftables: ", before.elements, after.elements));
  append(text_difference("nftables: chain ", before.rules, after.rules));
  append(text_difference("not as asked: ", before.refused, after.refused));
  return all;
}

}  // namespace agent
