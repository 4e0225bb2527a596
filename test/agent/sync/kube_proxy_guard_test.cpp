// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/kube_proxy_guard.hpp"

#include <linux/netfilter.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "test/fake/fake_kernel.hpp"

namespace {

namespace asio = boost::asio;
using agent::KubeProxyGuard;
using Catch::Matchers::ContainsSubstring;
using Lines = std::vector<std::string>;

const ipvs::KubeProxyChains kChains{
    .family = NFPROTO_IPV4, .table = "filter", .names = {"KUBE-IPVS-FILTER"}};
const ipvs::KubeProxyChains kLegacy{
    .family = NFPROTO_IPV6, .table = "nat", .names = {"KUBE-SERVICES"}, .legacy = true};

struct Checks {
  Lines warnings, notes;
  std::size_t left = 0;
};

// Three checks, one right after the other.
Checks check(bool remove, int refusal = 0) {
  struct Kernel : fake::FakeKernel {
    std::atomic<int> reads = 0;  // waited for during a check
    int refusal = 0;
    ipvs::Result<std::vector<ipvs::KubeProxyChains>> read_kube_proxy_chains() override {
      ++reads;
      return FakeKernel::read_kube_proxy_chains();
    }
    int remove_kube_proxy_chains(const ipvs::KubeProxyChains& chains) override {
      return refusal != 0 ? refusal : FakeKernel::remove_kube_proxy_chains(chains);
    }
  } kernel;
  kernel.refusal = refusal;
  kernel.kube_proxy_chains = {kChains, kLegacy};
  Checks seen;
  asio::io_context context;
  asio::cancellation_signal stop;
  {
    agent::KernelThread thread;
    KubeProxyGuard guard(context.get_executor(), kernel, thread,
                         {.warn = [&](const std::string& line) { seen.warnings.push_back(line); },
                          .note = [&](const std::string& line) { seen.notes.push_back(line); }},
                         {.remove = remove, .period = std::chrono::milliseconds(0)});
    bool ended = false;
    asio::co_spawn(context, guard.run(),
                   asio::bind_cancellation_slot(stop.slot(),
                                                [&](const std::exception_ptr&) { ended = true; }));
    while (kernel.reads < 4) context.run_one();
    seen.left = guard.left();
    stop.emit(asio::cancellation_type::terminal);
    while (!ended) context.run_one();
  }
  return seen;
}

}  // namespace

TEST_CASE("chains that kube-proxy left are reported once, with what removes them (C2)") {
  const Checks seen = check(false);
  REQUIRE(seen.warnings.size() == 2);
  CHECK_THAT(seen.warnings[0], ContainsSubstring("ip filter: KUBE-IPVS-FILTER; ") &&
                                   ContainsSubstring("--remove-kube-proxy-rules deletes them"));
  CHECK_THAT(seen.warnings[1], ContainsSubstring("`ip6tables-legacy-save -t nat | grep -v KUBE- | "
                                                 "ip6tables-legacy-restore`"));
  CHECK(seen.left == 2);
  CHECK(seen.notes.empty());
}

TEST_CASE("on request those in nftables are deleted, and those of iptables-legacy reported (C2)") {
  const Checks seen = check(true);
  CHECK(seen.notes == Lines{"kube-proxy's chains in ip filter: KUBE-IPVS-FILTER: deleted"});
  REQUIRE(seen.warnings.size() == 1);
  CHECK(seen.left == 1);
}

TEST_CASE("chains that cannot be deleted are reported with the reason (C2)") {
  const Checks seen = check(true, EBUSY);
  REQUIRE(seen.warnings.size() == 3);
  CHECK_THAT(seen.warnings[0], ContainsSubstring("not deleted: Device or resource busy"));
  CHECK(seen.left == 2);
}
