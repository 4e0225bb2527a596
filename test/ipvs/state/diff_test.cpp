// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/diff.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

using namespace ipvs;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

// What happens to an endpoint with connections that is no longer wanted.
std::string fate(const std::string& scheduler, std::uint32_t flags,
                 Protocol protocol = Protocol::kTcp) {
  Server server{.settings = {.key = {address("10.96.0.1"), 80, protocol},
                             .scheduler = scheduler,
                             .flags = flags}};
  Desired desired;
  desired.set("default/web", {.servers = {server}});
  server.destinations.push_back({.endpoint = {address("10.244.0.1"), 8080}});
  Ledger ledger;
  ledger.put_server(server);
  const auto may_drain = [](const ServerKey&, const Endpoint&) { return true; };
  const Changes changes = diff(desired, ledger, desired.take_dirty(), may_drain);
  if (changes.release.size() == 1 && changes.fill.empty()) return "deleted";
  if (changes.fill.size() == 1 && changes.release.empty()) return "drains";
  return "?";
}

}  // namespace

TEST_CASE(
    "a removed endpoint drains under every scheduler that sends its share to others meanwhile") {
  CHECK(fate("rr", 0) == "drains");
  CHECK(fate("lc", 0) == "drains");
  CHECK(fate("sh", kFlagSched1) == "drains");
  CHECK(fate("mh", kFlagSched1 | kFlagSched2) == "drains");
}

TEST_CASE(
    "under a hash without fallback a removed endpoint is deleted at once: at weight 0 its clients "
    "would be refused") {
  CHECK(fate("dh", 0) == "deleted");
  CHECK(fate("sh", 0) == "deleted");
  CHECK(fate("sh", kFlagSched2) == "deleted");
  CHECK(fate("mh", kFlagSched2) == "deleted");
}

TEST_CASE("UDP and SCTP endpoints are deleted at once") {
  CHECK(fate("rr", 0, Protocol::kUdp) == "deleted");
  CHECK(fate("rr", 0, Protocol::kSctp) == "deleted");
}
