// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/api_address.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::refuse_vip;
using agent::warn_of_vip;

k8s::ApiAccess access_to(const std::string& host) {
  k8s::ApiAccess access;
  access.origin = "service account";
  access.host = host;
  return access;
}

}  // namespace

TEST_CASE("the API server's own address can be used") {
  CHECK_FALSE(refuse_vip(access_to("192.168.1.1"), "10.96.0.1"));
  CHECK_FALSE(refuse_vip(access_to("api.example.org"), ""));
  CHECK_FALSE(warn_of_vip(access_to("api.example.org"), make_service("kubernetes", {"10.96.0.1"}),
                          ips({"192.168.1.1"})));
}

TEST_CASE("the cluster IP in kubelet's environment variable is refused, with the remedy") {
  const auto why = refuse_vip(access_to("10.96.0.1"), "10.96.0.1");
  REQUIRE(why);
  CHECK(*why ==
        "the API server address https://10.96.0.1:443 (from service account) is the cluster IP of "
        "Service default/kubernetes, which does not work until this agent has programmed it: give "
        "the address of the API server itself, with --master https://ADDRESS:6443 or a kubeconfig");
}

TEST_CASE("an IPv6 address is recognised however it is written") {
  CHECK(refuse_vip(access_to("fd00:96:0:0::1"), "fd00:96::1"));
  CHECK(refuse_vip(access_to("FD00:96::1"), "fd00:96::1"));
}

TEST_CASE("a Service VIP that the API host resolves to is warned of, and no reason to end (B1)") {
  const auto service = make_service("kubernetes", {"10.96.0.1", "fd00:96::1"});
  const auto why = warn_of_vip(access_to("api.example.org"), service, ips({"fd00:96::1"}));
  REQUIRE(why);
  CHECK(*why ==
        "the API server address https://api.example.org:443 (from service account) is the cluster "
        "IP of Service default/kubernetes, which will not work after a reboot of this node: give "
        "the address of the API server itself, with --master https://ADDRESS:6443 or a kubeconfig");
}
