// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/address_users.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;

std::string users_of(const agent::AddressUsers& users, const std::string& address) {
  std::string text;
  users.for_each_of(ip(address), [&](const k8s::ObjectKey& key) { text += key.name + " "; });
  return text;
}

}  // namespace

TEST_CASE("an address has any number of users, until each of them gives it up (B4)") {
  agent::AddressUsers users;
  users.set(key_of("a"), kernel_ips({"192.0.2.1", "192.0.2.2"}));
  users.set(key_of("b"), kernel_ips({"192.0.2.1"}));
  users.set(key_of("b"), kernel_ips({"192.0.2.1"}));
  CHECK(users_of(users, "192.0.2.1") == "a b ");
  CHECK(users_of(users, "192.0.2.2") == "a ");
  CHECK(users_of(users, "192.0.2.3").empty());
  users.set(key_of("a"), kernel_ips({"192.0.2.3"}));
  CHECK(users_of(users, "192.0.2.1") == "b ");
  CHECK(users_of(users, "192.0.2.2").empty());
  CHECK(users_of(users, "192.0.2.3") == "a ");
  users.set(key_of("a"), {});
  users.set(key_of("b"), {});
  CHECK(users_of(users, "192.0.2.1").empty());
  CHECK(users_of(users, "192.0.2.3").empty());
}
