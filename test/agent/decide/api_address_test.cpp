// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/api_address.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::refuse_vip;

k8s::ApiAccess access_to(const std::string& host) {
  k8s::ApiAccess access;
  access.origin = "service account";
  access.host = host;
  return access;
}

}  // namespace

TEST_CASE("the API server's own address can be used") {
  CHECK_FALSE(refuse_vip(access_to("192.168.1.1"), "10.96.0.1", kernel_ips({"10.96.0.1"})));
  CHECK_FALSE(refuse_vip(access_to("api.example.org"), "", {}));
  CHECK_FALSE(refuse_vip(access_to("api.example.org"), make_service("kubernetes", {"10.96.0.1"}),
                         ips({"192.168.1.1"})));
}

TEST_CASE("the cluster IP in kubelet's environment variable is refused, with the remedy") {
  const auto why = refuse_vip(access_to("10.96.0.1"), "10.96.0.1", {});
  REQUIRE(why);
  CHECK(*why ==
        "the API server address https://10.96.0.1:443 (from service account) is the cluster IP of "
        "Service default/kubernetes, which does not work until this agent has programmed it: give "
        "the address of the API server itself, with --master https://ADDRESS:6443 or a kubeconfig");
}

TEST_CASE("an address that an earlier run left on kube-ipvs0 is refused") {
  const auto why = refuse_vip(access_to("192.0.2.1"), "", kernel_ips({"10.96.0.1", "192.0.2.1"}));
  REQUIRE(why);
  CHECK(why->find("is a Service VIP on kube-ipvs0") != std::string::npos);
}

TEST_CASE("an IPv6 address is recognised however it is written") {
  CHECK(refuse_vip(access_to("fd00:96:0:0::1"), "fd00:96::1", {}));
  CHECK(refuse_vip(access_to("FD00:96::1"), "", kernel_ips({"fd00:96::1"})));
}

TEST_CASE("a Service VIP that the API host resolves to is refused") {
  const auto service = make_service("kubernetes", {"10.96.0.1", "fd00:96::1"});
  const auto why = refuse_vip(access_to("api.example.org"), service, ips({"fd00:96::1"}));
  REQUIRE(why);
  CHECK(why->find("(from service account) is the cluster IP of Service default/kubernetes") !=
        std::string::npos);
}
