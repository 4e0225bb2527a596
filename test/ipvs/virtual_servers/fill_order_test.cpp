// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/fill_order.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;

ServerKey server(std::uint32_t number) {
  return {boost::asio::ip::address_v4(0x0A600000 + number), 80, ipvs::Protocol::kTcp};
}

ServerOp add(std::uint32_t number, std::uint16_t port) {
  return {.command = ServerCommand::kNewDest,
          .server = {.key = server(number)},
          .destination = {.endpoint = {boost::asio::ip::address_v4(0x0AF40001), port}}};
}

}  // namespace

TEST_CASE("destinations of the virtual server that was dumped last are added first (D2)") {
  const std::vector<ServerOp> ops = {add(1, 1), add(1, 2), add(2, 1), add(3, 1), add(4, 1)};
  const ipvs::FillRanks dumped = {{server(3), 1}, {server(1), 2}, {server(2), 3}, {server(9), 4}};
  CHECK(ipvs::fill_order(ops, dumped) == std::vector<std::size_t>{2, 0, 1, 3, 4});
  CHECK(ipvs::fill_order(ops, {}) == std::vector<std::size_t>{0, 1, 2, 3, 4});
  CHECK(ipvs::fill_order({}, dumped).empty());
}

TEST_CASE("only many additions of destinations are worth a dump (D2)") {
  std::vector<ServerOp> ops(999, add(1, 1));
  CHECK_FALSE(ipvs::is_large_fill(ops));
  ops.push_back(add(2, 1));
  CHECK(ipvs::is_large_fill(ops));
  ops[500].command = ServerCommand::kDelDest;
  CHECK_FALSE(ipvs::is_large_fill(ops));
}
