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
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/fake/fake_kernel.hpp"

namespace {

namespace asio = boost::asio;
using agent::KubeProxyGuard;
using agent::Takeover;
using Catch::Matchers::ContainsSubstring;
using Lines = std::vector<std::string>;

const ipvs::KubeProxyChains kChains{
    .family = NFPROTO_IPV4, .table = "filter", .names = {"KUBE-FORWARD", "KUBE-IPVS-FILTER"}};
const ipvs::KubeProxyChains kLegacy{
    .family = NFPROTO_IPV6, .table = "nat", .names = {"KUBE-SERVICES"}, .legacy = true};

struct Kernel : fake::FakeKernel {
  std::atomic<int> looks = 0;  // for processes, once each check that looks for a kube-proxy
  std::atomic<int> reads = 0;  // of ipsets, once each check that deletes nothing
  std::string refusal;         // to delete chains
  std::function<void(Kernel&)> before_look = [](Kernel&) {};

  std::vector<ipvs::KubeProxyProcess> find_kube_proxies() override {
    ++looks;
    before_look(*this);
    return FakeKernel::find_kube_proxies();
  }
  ipvs::Result<std::vector<std::string>> read_kube_proxy_sets() override {
    ++reads;
    return FakeKernel::read_kube_proxy_sets();
  }
  ipvs::Result<ipvs::RemovedChains> remove_kube_proxy_chains(
      const ipvs::KubeProxyChains& chains) override {
    if (!refusal.empty()) return ipvs::KernelError{EIO, refusal};
    return FakeKernel::remove_kube_proxy_chains(chains);
  }
};

struct Fixture {
  Kernel kernel;
  Takeover takeover = Takeover::kAuto;
  KubeProxyGuard::Surroundings surroundings;
  Lines left, runs, notes;
  std::size_t chains_left = 0, sets_left = 0;
  bool is_beside = false;

  Fixture() {
    kernel.kube_proxy_chains = {kChains, kLegacy};
    kernel.kube_proxy_sets = {"KUBE-CLUSTER-IP", "KUBE-LOOP-BACK"};
  }
  // So many checks, one right after the other.
  void check(int checks) {
    asio::io_context context;
    asio::cancellation_signal stop;
    agent::KernelThread thread;
    const std::chrono::milliseconds at_once(0);
    KubeProxyGuard guard(
        context.get_executor(), kernel, thread, surroundings,
        {.left = [&](const std::string& line) { left.push_back(line); },
         .runs = [&](const std::string& line) { runs.push_back(line); },
         .note = [&](const std::string& line) { notes.push_back(line); }},
        {.takeover = takeover, .period = at_once, .period_beside = at_once, .poll = at_once});
    bool ended = false;
    asio::co_spawn(context, guard.run(),
                   asio::bind_cancellation_slot(stop.slot(),
                                                [&](const std::exception_ptr&) { ended = true; }));
    const std::atomic<int>& done = takeover == Takeover::kOff ? kernel.reads : kernel.looks;
    while (done <= checks) context.run_one();
    chains_left = guard.chains_left();
    sets_left = guard.sets_left();
    is_beside = guard.runs();
    stop.emit(asio::cancellation_type::terminal);
    while (!ended) context.run_one();
  }
};

}  // namespace

TEST_CASE("when ours are in force, kube-proxy's chains go, then its ipsets, each named (C2)") {
  Fixture f;
  int asked = 0;
  f.surroundings.is_in_force = [&] {
    if (++asked < 3) CHECK(f.kernel.kube_proxy_chains.size() == 2);
    return asked >= 3;
  };
  f.check(2);
  CHECK(f.kernel.kube_proxy_chains.empty());
  CHECK(f.kernel.kube_proxy_sets.empty());
  CHECK(f.notes == Lines{"kube-proxy's chains in ip filter: deleted KUBE-FORWARD, KUBE-IPVS-FILTER",
                         "kube-proxy's chains in ip6tables-legacy nat: deleted KUBE-SERVICES",
                         "kube-proxy's ipsets: deleted KUBE-CLUSTER-IP, KUBE-LOOP-BACK"});
  CHECK(f.left.empty());
  CHECK(f.chains_left + f.sets_left == 0);
}

TEST_CASE("with --takeover=report nothing is deleted, and said once what would be (C2)") {
  Fixture f;
  f.takeover = Takeover::kReport;
  f.check(3);
  CHECK(f.left == Lines{"kube-proxy has left chains in ip filter: KUBE-FORWARD, KUBE-IPVS-FILTER; "
                        "they refuse or redirect traffic of Services: --takeover=auto deletes them",
                        "kube-proxy has left chains in ip6tables-legacy nat: KUBE-SERVICES; "
                        "they refuse or redirect traffic of Services: --takeover=auto deletes them",
                        "kube-proxy has left ipsets: KUBE-CLUSTER-IP, KUBE-LOOP-BACK: "
                        "--takeover=auto deletes them"});
  CHECK(f.notes.empty());
  CHECK(f.chains_left == 3);
  CHECK(f.sets_left == 2);
}

TEST_CASE("with --takeover=off nothing is deleted, said or looked for, only counted") {
  Fixture f;
  f.takeover = Takeover::kOff;
  f.kernel.kube_proxies = {{42, "kube-proxy"}};
  f.check(2);
  CHECK(f.left.empty());
  CHECK(f.runs.empty());
  CHECK(f.chains_left == 3);
  CHECK(f.kernel.looks == 0);
  CHECK_FALSE(f.is_beside);
}

TEST_CASE("chains that cannot be deleted are reported once, with the reason (C2)") {
  Fixture f;
  f.kernel.refusal = "iptables-restore: line 3 failed";
  f.kernel.sets_in_use = 1000;
  f.check(3);
  REQUIRE(f.left.size() == 3);
  CHECK_THAT(f.left[0], ContainsSubstring("ip filter: not deleted: iptables-restore: line 3"));
  CHECK_THAT(f.left[2], ContainsSubstring("not deleted: rules use them"));
  CHECK(f.chains_left == 3);
  CHECK(f.sets_left == 2);
}

TEST_CASE("ipsets whose rules the kernel has not freed yet are tried again at once") {
  Fixture f;
  f.kernel.sets_in_use = 3;
  f.check(1);
  CHECK(f.kernel.kube_proxy_sets.empty());
  CHECK(f.left.empty());
}

TEST_CASE("while a kube-proxy runs nothing is deleted, and it is named once; then it goes") {
  Fixture f;
  f.kernel.kube_proxies = {{42, "/usr/local/bin/kube-proxy --v=2"}};
  f.kernel.before_look = [](Kernel& kernel) {
    if (kernel.looks < 4) {
      CHECK(kernel.kube_proxy_chains.size() == 2);
    } else {
      kernel.kube_proxies.clear();
    }
  };
  f.check(5);
  REQUIRE(f.runs.size() == 1);
  CHECK_THAT(f.runs[0], ContainsSubstring("(process 42: /usr/local/bin/kube-proxy --v=2)"));
  CHECK_THAT(f.runs[0], ContainsSubstring("delete daemonset kube-proxy"));
  REQUIRE(f.notes.size() == 4);
  CHECK(f.notes[0] == "kube-proxy does not seem to run here any more");
  CHECK(f.kernel.kube_proxy_chains.empty());
}

TEST_CASE("a kube-proxy that cannot be seen is noticed when its chains come back") {
  Fixture f;
  f.kernel.before_look = [](Kernel& kernel) { kernel.kube_proxy_chains = {kChains}; };
  f.check(8);
  CHECK(f.runs.size() > 1);
  CHECK_THAT(f.runs[0], ContainsSubstring("the chain ip filter KUBE-FORWARD was deleted and is "
                                          "there again"));
}

TEST_CASE("KUBE-FORWARD stays where a FORWARD chain drops and nothing else accepts replies") {
  Fixture f;
  f.surroundings.forwarding_is_dropped = [] { return true; };
  f.check(3);
  REQUIRE(f.kernel.kube_proxy_chains.size() == 1);
  CHECK(f.kernel.kube_proxy_chains[0].names == Lines{"KUBE-FORWARD"});
  REQUIRE(f.left.size() == 1);
  CHECK_THAT(f.left[0],
             ContainsSubstring("KUBE-FORWARD stays") && ContainsSubstring("--forward-accept"));
  CHECK(f.runs.empty());
}
