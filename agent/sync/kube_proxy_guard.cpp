// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/kube_proxy_guard.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;

// After a check that failed.
constexpr std::chrono::milliseconds kSoon{10'000};

std::string warning(const ipvs::KubeProxyChains& chains) {
  const std::string text = chains.text();
  std::string line =
      "kube-proxy has left chains in " + text + "; they refuse or redirect traffic of Services: ";
  if (!chains.legacy) return line + "--remove-kube-proxy-rules deletes them";
  const std::string tool = text.substr(0, text.find(' '));
  return line + "`" + tool + "-save -t " + chains.table + " | grep -v KUBE- | " + tool +
         "-restore` deletes them";
}

}  // namespace

KubeProxyGuard::KubeProxyGuard(asio::any_io_executor executor, ipvs::Kernel& kernel,
                               KernelThread& thread, Report report, Options options)
    : executor_(std::move(executor)),
      kernel_(kernel),
      thread_(thread),
      report_(std::move(report)),
      options_(options) {}

asio::awaitable<void> KubeProxyGuard::run() {
  while (true) {
    has_failed_ = false;
    co_await check();
    asio::steady_timer pause(executor_,
                             has_failed_ ? std::min(options_.period, kSoon) : options_.period);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<void> KubeProxyGuard::check() {
  const auto found = co_await thread_.run([this] { return kernel_.read_kube_proxy_chains(); });
  std::set<std::string> now;
  if (!found) {
    has_failed_ = true;
    report_once(now, found.error().text());
    reported_ = std::move(now);
    co_return;
  }
  std::size_t left = 0;
  for (const ipvs::KubeProxyChains& chains : *found) {
    const bool removed = co_await remove(chains, now);
    if (removed) continue;
    left += chains.names.size();
    report_once(now, warning(chains));
  }
  left_ = left;
  reported_ = std::move(now);
}

asio::awaitable<bool> KubeProxyGuard::remove(const ipvs::KubeProxyChains& chains,
                                             std::set<std::string>& now) {
  if (!options_.remove || chains.legacy) co_return false;
  const int error = co_await thread_.run([&] { return kernel_.remove_kube_proxy_chains(chains); });
  const std::string what = "kube-proxy's chains in " + chains.text();
  if (error == 0) {
    report_.note(what + ": deleted");
  } else {
    has_failed_ = true;
    report_once(now, what + ": not deleted: " + (error > 0 ? ::strerror(error) : "no answer"));
  }
  co_return error == 0;
}

void KubeProxyGuard::report_once(std::set<std::string>& now, std::string line) {
  if (!reported_.contains(line)) report_.warn(line);
  now.insert(std::move(line));
}

}  // namespace agent
