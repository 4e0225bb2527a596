// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/server_addresses.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using k8s::Address;
using k8s::ServerAddresses;
using std::chrono::minutes;

std::vector<Address> addresses(const std::vector<std::string>& texts) {
  std::vector<Address> result;
  for (const auto& text : texts) result.push_back(boost::asio::ip::make_address(text));
  return result;
}

struct Fixture {
  ServerAddresses::Clock::time_point now{};
  int changes = 0;
  ServerAddresses known{[this] { return now; }};
  Fixture() {
    known.on_change([this] { ++changes; });
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a configured address is known for ever, a configured name is none (B1)",
                 "[server_addresses]") {
  known.configured("api.example");
  CHECK(known.all().empty());
  known.configured("192.0.2.7");
  known.configured("::ffff:192.0.2.8");
  known.configured("fe80::1%lo");
  now += minutes(1000);
  known.resolved("api.example", addresses({"192.0.2.9"}));
  CHECK(known.all() == addresses({"192.0.2.7", "192.0.2.8", "192.0.2.9", "fe80::1"}));
  CHECK(changes == 4);
}

TEST_CASE_METHOD(Fixture,
                 "what a name resolved to is known for a while after its answer has changed (B1)",
                 "[server_addresses]") {
  known.resolved("api.example", addresses({"192.0.2.1", "2001:db8::1"}));
  CHECK(known.all() == addresses({"192.0.2.1", "2001:db8::1"}));
  CHECK(changes == 1);
  now += minutes(14);
  known.resolved("api.example", addresses({"192.0.2.2"}));
  CHECK(known.all() == addresses({"192.0.2.1", "192.0.2.2", "2001:db8::1"}));
  CHECK(changes == 2);
  // The same answer, and one without an address, change nothing.
  known.resolved("api.example", addresses({"192.0.2.2"}));
  known.resolved("api.example", {});
  CHECK(changes == 2);
  now += minutes(1);
  known.resolved("api.example", addresses({"192.0.2.2"}));
  CHECK(known.all() == addresses({"192.0.2.2"}));
  CHECK(changes == 3);
  // Another name's answers are its own: they do not age with this one's.
  known.resolved("proxy.example", addresses({"192.0.2.3"}));
  now += minutes(60);
  known.resolved("api.example", addresses({"192.0.2.4"}));
  CHECK(known.all() == addresses({"192.0.2.3", "192.0.2.4"}));
}

TEST_CASE_METHOD(Fixture, "the peer of a connection is known until its last connection ends (B1)",
                 "[server_addresses]") {
  auto first = known.connected(addresses({"::ffff:192.0.2.5"})[0]);
  auto second = known.connected(addresses({"192.0.2.5"})[0]);
  CHECK(known.all() == addresses({"192.0.2.5"}));
  CHECK(changes == 1);
  first.reset();
  now += minutes(1000);
  CHECK(known.all() == addresses({"192.0.2.5"}));
  second.reset();
  CHECK(known.all().empty());
  CHECK(changes == 2);
}

TEST_CASE("the handle of a connection may outlive what counts it", "[server_addresses]") {
  ServerAddresses::Peer handle;
  {
    ServerAddresses known;
    handle = known.connected(addresses({"192.0.2.5"})[0]);
  }
  handle.reset();
  CHECK(handle == nullptr);
}
