// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/fill_order.hpp"

#include <algorithm>
#include <numeric>

namespace ipvs {
namespace {

constexpr std::size_t kMany = 1000;

}  // namespace

bool is_large_fill(std::span<const ServerOp> ops) {
  return ops.size() >= kMany && std::all_of(ops.begin(), ops.end(), [](const ServerOp& op) {
           return op.command == ServerCommand::kNewDest;
         });
}

std::vector<std::size_t> fill_order(std::span<const ServerOp> ops, const FillRanks& ranks) {
  std::vector<std::size_t> rank_of(ops.size());  // 0: not there
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const auto rank = ranks.find(ops[i].server.key);
    if (rank != ranks.end()) rank_of[i] = rank->second;
  }
  std::vector<std::size_t> order(ops.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rank_of[a] > rank_of[b]; });
  return order;
}

}  // namespace ipvs
