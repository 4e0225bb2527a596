// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/forward_guard.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;
using ipvs::ForwardChain;

std::string warning(const ForwardChain& chain, bool accept) {
  std::string line =
      "the chain " + chain.text() +
      " drops what none of its rules accepts, which may include replies of endpoints "
      "to clients outside this host; ";
  if (!chain.legacy) return line + "--forward-accept keeps a rule in it that accepts them";
  line += accept ? "--forward-accept does not manage iptables-legacy: " : "";
  return line + "`" + chain.text().substr(0, chain.text().find(' ')) +
         " -I FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT` accepts them";
}

}  // namespace

ForwardGuard::ForwardGuard(asio::any_io_executor executor, ipvs::Kernel& kernel,
                           KernelThread& thread, Report report, Options options)
    : kernel_(kernel),
      thread_(thread),
      report_(std::move(report)),
      options_(options),
      wake_(executor) {}

void ForwardGuard::check_again() {
  again_ = true;
  wake_.cancel();
}

void ForwardGuard::set(Options options) {
  options_ = options;
  check_again();
}

asio::awaitable<void> ForwardGuard::run() {
  while (true) {
    again_ = false;
    co_await check();
    if (again_) continue;
    wake_.expires_after(options_.period);
    // check_again() ends the wait; so does being cancelled, after which the next co_await throws.
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> ForwardGuard::check() {
  const auto chains = co_await thread_.run([this] { return kernel_.read_forward_chains(); });
  std::set<std::string> now;
  if (!chains) {
    report_once(now, chains.error().text());
    reported_ = std::move(now);
    co_return;
  }
  std::vector<ForwardChain> unattended;
  for (const ForwardChain& chain : *chains) {
    const bool attended = co_await attend(chain, now);
    if (attended || !chain.drops) continue;
    unattended.push_back(chain);
    report_once(now, warning(chain, options_.accept));
  }
  unattended_ = std::move(unattended);
  reported_ = std::move(now);
}

// Adds or removes our rule as wanted. True: the chain has it now.
asio::awaitable<bool> ForwardGuard::attend(const ForwardChain& chain, std::set<std::string>& now) {
  const bool wanted = options_.accept && chain.drops && !chain.legacy;
  if (wanted != chain.our_rules.empty()) co_return wanted;
  const int error = co_await thread_.run(
      [&] { return wanted ? kernel_.accept_replies(chain) : kernel_.withdraw(chain); });
  const std::string what =
      std::string("the rule that accepts replies in the chain ") + chain.text();
  if (error == 0) {
    report_.note(what + (wanted ? ": added" : ": removed"));
  } else {
    report_once(now, what + (wanted ? ": not added: " : ": not removed: ") +
                         (error > 0 ? ::strerror(error) : "no answer"));
  }
  co_return wanted == (error == 0);
}

void ForwardGuard::report_once(std::set<std::string>& now, std::string line) {
  if (!reported_.contains(line)) report_.warn(line);
  now.insert(std::move(line));
}

}  // namespace agent
