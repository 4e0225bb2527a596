// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/requirements.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

#include "ipvs/nftables/encode.hpp"

using namespace ipvs;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

TEST_CASE("every message of the installation has the name of what it makes", "[nft]") {
  Transaction install = encode_install({}, {});
  for (std::size_t i = 4; i + 1 < install.batch.size(); ++i) {
    INFO(i);
    const std::string part = refused_part({}, i);
    switch (NFNL_MSG_TYPE(install.batch.message_type(i))) {
      case NFT_MSG_NEWSET:
        CHECK_THAT(part, StartsWith("the set "));
        break;
      case NFT_MSG_NEWCHAIN:
        CHECK_THAT(part, StartsWith("the chain "));
        break;
      default:
        CHECK_THAT(part, StartsWith("a rule of the chain "));
        break;
    }
  }
}

TEST_CASE("what not every kernel has is named with the kernel that has it", "[nft]") {
  std::string all;
  for (std::size_t i = 0; i < encode_install({}, {}).batch.size(); ++i) {
    all += refused_part({}, i) + "\n";
  }
  CHECK_THAT(all,
             ContainsSubstring("the set allowed-sources-4: ranges in concatenations (Linux 5.6"));
  CHECK_THAT(all, ContainsSubstring("the chain prerouting: nat in the family inet (Linux 5.2"));
  CHECK_THAT(all, ContainsSubstring("a rule of the chain refuse: reject at the prerouting hook "
                                    "(Linux 5.9, module nft_reject_inet)"));
  CHECK_THAT(all, ContainsSubstring("a rule of the chain external: masquerading in the family inet "
                                    "(Linux 5.2, module nft_masq)"));
  CHECK_THAT(refused_part({}, 0), StartsWith("it needs reject at the prerouting hook"));
  CHECK(refused_part({}, 100000) == refused_part({}, 0));
}
