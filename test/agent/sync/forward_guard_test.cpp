// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/forward_guard.hpp"

#include <linux/netfilter.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <stdexcept>

#include "test/fake/fake_kernel.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using agent::ForwardGuard;
using Catch::Matchers::ContainsSubstring;
using ipvs::ForwardChain;
using Lines = std::vector<std::string>;

ForwardChain docker(bool drops = true) {
  return {.family = NFPROTO_IPV4, .table = "filter", .name = "FORWARD", .drops = drops};
}

// Chains as a kernel has them. The kernel thread does not use them between two checks.
struct Firewall : fake::FakeKernel {
  explicit Firewall(std::vector<ForwardChain> chains_in = {}, int refusal_in = 0)
      : chains(std::move(chains_in)), refusal(refusal_in) {}

  std::vector<ForwardChain> chains;
  int refusal;
  std::atomic<int> reads = 0;  // waited for during a check
  std::uint64_t handles = 0;
  Lines warnings, notes;

  ipvs::Result<std::vector<ForwardChain>> read_forward_chains() override {
    ++reads;
    return chains;
  }
  int accept_replies(const ForwardChain& chain) override {
    if (refusal == 0) change(chain).our_rules = {++handles};
    return refusal;
  }
  int withdraw(const ForwardChain& chain) override {
    if (refusal == 0) change(chain).our_rules.clear();
    return refusal;
  }
  ForwardChain& change(const ForwardChain& chain) {
    for (ForwardChain& mine : chains) {
      if (mine.text() == chain.text()) return mine;
    }
    throw std::runtime_error("no such chain");
  }
};

// A guard that has made its first check; check() makes another.
class Guarded {
 public:
  Guarded(Firewall& firewall, bool accept) : firewall_(firewall), guard_(make(accept)) {
    asio::co_spawn(
        context_, guard_.run(),
        asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr) { ended_ = true; }));
    run_until_checked(1);
  }
  ~Guarded() {
    stop_.emit(asio::cancellation_type::terminal);
    while (!ended_) context_.run_one_for(1s);
  }
  void check() {
    const int seen = firewall_.reads.load();
    guard_.check_again();
    run_until_checked(seen + 1);
  }
  void set(bool accept) {
    const int seen = firewall_.reads.load();
    guard_.set({.accept = accept, .period = 1h});
    run_until_checked(seen + 1);
  }
  std::size_t unattended() const { return guard_.unattended(); }

 private:
  ForwardGuard make(bool accept) {
    return {context_.get_executor(),
            firewall_,
            thread_,
            {.warn = [this](const std::string& line) { firewall_.warnings.push_back(line); },
             .note = [this](const std::string& line) { firewall_.notes.push_back(line); }},
            {.accept = accept, .period = 1h}};
  }
  // And until nothing is ready: then it waits again.
  void run_until_checked(int reads) {
    while (firewall_.reads < reads) context_.run_one_for(1s);
    while (context_.run_one_for(50ms) > 0) {
    }
  }

  Firewall& firewall_;
  asio::io_context context_;
  agent::KernelThread thread_;
  ForwardGuard guard_;
  asio::cancellation_signal stop_;
  bool ended_ = false;
};

}  // namespace

TEST_CASE(
    "a FORWARD chain that drops is reported once, with the flag that helps, and not changed") {
  Firewall firewall({docker()});
  Guarded guarded(firewall, false);
  guarded.check();
  REQUIRE(firewall.warnings.size() == 1);
  CHECK_THAT(firewall.warnings[0],
             ContainsSubstring("ip filter FORWARD drops") && ContainsSubstring("--forward-accept"));
  CHECK(firewall.chains[0].our_rules.empty());
  CHECK(guarded.unattended() == 1);

  firewall.chains[0].drops = false;
  guarded.check();
  CHECK(guarded.unattended() == 0);
  firewall.chains[0].drops = true;
  guarded.check();
  CHECK(firewall.warnings.size() == 2);
}

TEST_CASE("with --forward-accept a chain that drops gets the rule, and no other chain has it") {
  Firewall firewall({docker()});
  Guarded guarded(firewall, true);
  CHECK(firewall.chains[0].our_rules.size() == 1);
  CHECK(guarded.unattended() == 0);
  CHECK(firewall.warnings.empty());

  firewall.chains[0].our_rules.clear();  // flushed by somebody
  guarded.check();
  CHECK(firewall.chains[0].our_rules.size() == 1);

  firewall.chains[0].drops = false;
  guarded.check();
  CHECK(firewall.chains[0].our_rules.empty());
  CHECK(firewall.notes.size() == 3);
}

TEST_CASE("without --forward-accept a rule that an earlier run left is deleted") {
  Firewall firewall({docker()});
  firewall.chains[0].our_rules = {4};
  Guarded guarded(firewall, false);
  CHECK(firewall.chains[0].our_rules.empty());
  CHECK(guarded.unattended() == 1);
}

TEST_CASE("a rule that the kernel refuses is reported once, and tried again") {
  Firewall firewall({docker()}, EPERM);
  Guarded guarded(firewall, true);
  guarded.check();
  CHECK(guarded.unattended() == 1);
  REQUIRE(firewall.warnings.size() == 2);  // why, and what it means
  CHECK_THAT(firewall.warnings[0], ContainsSubstring("not added: Operation not permitted"));
  firewall.refusal = 0;
  guarded.check();
  CHECK(guarded.unattended() == 0);
}

TEST_CASE("a warning about iptables-legacy gives the command that adds the rule") {
  Firewall firewall({docker()});
  firewall.chains[0].legacy = true;
  Guarded guarded(firewall, true);
  REQUIRE(firewall.warnings.size() == 1);
  CHECK_THAT(firewall.warnings[0], ContainsSubstring("`iptables-legacy -I FORWARD -m conntrack"));
  CHECK(guarded.unattended() == 1);
}

TEST_CASE(
    "the flag --forward-accept that is set later adds the rule at once, and removes it (18.2)") {
  Firewall firewall({docker()});
  Guarded guarded(firewall, false);
  CHECK(guarded.unattended() == 1);
  guarded.set(true);
  CHECK(firewall.chains[0].our_rules.size() == 1);
  CHECK(guarded.unattended() == 0);
  guarded.set(false);
  CHECK(firewall.chains[0].our_rules.empty());
}
