// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/kube_proxy_signs.hpp"

#include <linux/netfilter.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace agent;

namespace {

const ipvs::KubeProxyChains kNat{
    .family = NFPROTO_IPV4, .table = "nat", .names = {"KUBE-MARK-MASQ", "KUBE-SERVICES"}};
const std::vector<ipvs::KubeProxyChains> kNone;

}  // namespace

TEST_CASE("a kube-proxy is known by its process, and else by the answer of its metrics port") {
  KubeProxySigns signs;
  CHECK(signs.judge({.processes = {{42, "kube-proxy --v=2"}, {43, "x"}}, .mode = "ipvs"}, {}) ==
        "process 42: kube-proxy --v=2");
  CHECK(signs.judge({.processes = {}, .mode = "ipvs"}, {}) ==
        "127.0.0.1:10249/proxyMode answers ipvs");
  CHECK(signs.judge({}, {kNat}).empty());
}

TEST_CASE("chains that come back are deleted again ever more rarely") {
  KubeProxySigns signs;
  std::string attempts;
  for (int check = 0; check < 20; ++check) {
    if (!signs.judge({}, {kNat}).empty()) {
      attempts += '.';
      continue;
    }
    attempts += 'd';
    signs.deleted(kNat, kNat.names);
  }
  CHECK(attempts == "d.d..d....d........d");
  CHECK(signs.judge({}, {kNat}) == "the chain ip nat KUBE-SERVICES was deleted and is there again");
}

TEST_CASE("chains that stay deleted are no sign, nor are those that a kubelet makes again") {
  KubeProxySigns signs;
  signs.deleted(kNat, kNat.names);
  CHECK(signs.judge({}, kNone).empty());
  CHECK(signs.judge({}, {{.family = NFPROTO_IPV4, .table = "nat", .names = {"KUBE-MARK-MASQ"}}})
            .empty());
  CHECK(signs.judge({}, {{.family = NFPROTO_IPV6, .table = "nat", .names = {"KUBE-SERVICES"}}})
            .empty());
}

TEST_CASE("the names of many chains make a few lines") {
  const std::vector<std::string> names(250, "K");
  const auto lines = name_lines(names);
  REQUIRE(lines.size() == 10);
  CHECK(lines[0].size() == 20 + 19 * 2);
  CHECK(lines[9].ends_with(", K and 50 more"));
  CHECK(name_lines({"A", "B"}) == std::vector<std::string>{"A, B"});
  CHECK(name_lines({}).empty());
}
