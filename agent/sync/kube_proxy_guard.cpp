// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/kube_proxy_guard.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/sync/proxy_mode.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

// After a check that failed.
constexpr std::chrono::milliseconds kSoon{10'000};
constexpr const char* kForward = "KUBE-FORWARD";
constexpr int kSetAttempts = 8;

std::string reason(int error) { return error > 0 ? ::strerror(error) : "no answer"; }

}  // namespace

KubeProxyGuard::KubeProxyGuard(asio::any_io_executor executor, ipvs::Kernel& kernel,
                               KernelThread& thread, Surroundings surroundings, Report report,
                               Options options)
    : executor_(std::move(executor)),
      kernel_(kernel),
      thread_(thread),
      surroundings_(std::move(surroundings)),
      report_(std::move(report)),
      options_(options) {}

asio::awaitable<void> KubeProxyGuard::run() {
  while (!surroundings_.is_in_force()) co_await pause(options_.poll);
  while (true) {
    has_failed_ = false;
    co_await check();
    const auto period = runs_ ? options_.period_beside : options_.period;
    co_await pause(has_failed_ ? std::min(period, kSoon) : period);
  }
}

asio::awaitable<void> KubeProxyGuard::pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(executor_, time);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> KubeProxyGuard::check() {
  now_.clear();
  std::vector<ipvs::KubeProxyChains> chains = co_await read_chains();
  runs_ = co_await find_running(chains);
  std::vector<std::string> sets = co_await read_sets();
  const bool in_force = surroundings_.is_in_force();
  if (removes() && in_force && !(chains.empty() && sets.empty())) {
    for (const ipvs::KubeProxyChains& each : chains) co_await remove(each);
    co_await remove_sets(std::move(sets));
    chains = co_await read_chains();
    sets = co_await read_sets();
  }
  chains_left_ = 0;
  for (const ipvs::KubeProxyChains& each : chains) chains_left_ += each.names.size();
  sets_left_ = sets.size();
  if (options_.takeover == Takeover::kReport) report_left(chains, sets);
  reported_ = std::exchange(now_, {});
}

asio::awaitable<std::vector<ipvs::KubeProxyChains>> KubeProxyGuard::read_chains() {
  auto found = co_await thread_.run([this] { return kernel_.read_kube_proxy_chains(); });
  if (found) co_return std::move(*found);
  has_failed_ = true;
  report_once(report_.left, found.error().text());
  co_return std::vector<ipvs::KubeProxyChains>();
}

asio::awaitable<std::vector<std::string>> KubeProxyGuard::read_sets() {
  auto found = co_await thread_.run([this] { return kernel_.read_kube_proxy_sets(); });
  if (found) co_return std::move(*found);
  has_failed_ = true;
  report_once(report_.left, found.error().text());
  co_return std::vector<std::string>();
}

asio::awaitable<bool> KubeProxyGuard::find_running(
    const std::vector<ipvs::KubeProxyChains>& chains) {
  // The two are meant to run side by side.
  if (options_.takeover == Takeover::kOff) co_return false;
  KubeProxySigns::Seen seen;
  seen.processes = co_await thread_.run([this] { return kernel_.find_kube_proxies(); });
  const std::uint16_t port = surroundings_.proxy_mode_port();
  if (seen.processes.empty() && port != 0) seen.mode = co_await ask_proxy_mode(executor_, port);
  const std::string sign = signs_.judge(seen, chains);
  if (!sign.empty()) report_once(report_.runs, running_text(sign, options_.takeover));
  if (sign.empty() && runs_) report_.note("kube-proxy does not seem to run here any more");
  co_return !sign.empty();
}

asio::awaitable<void> KubeProxyGuard::remove(const ipvs::KubeProxyChains& chains) {
  ipvs::KubeProxyChains going = chains;
  if (surroundings_.forwarding_is_dropped() && std::erase(going.names, kForward) > 0) {
    report_once(report_.left, "kube-proxy's chain " + chains.table_text() +
                                  " KUBE-FORWARD stays: a FORWARD chain drops, and only this one "
                                  "accepts the replies of Pods; --forward-accept replaces it");
  }
  if (going.names.empty()) co_return;
  const auto removed =
      co_await thread_.run([&] { return kernel_.remove_kube_proxy_chains(going); });
  const std::string what = "kube-proxy's chains in " + chains.table_text() + ": ";
  if (!removed) {
    has_failed_ |= !chains.legacy;  // a program of the host is not run again every few seconds
    report_once(report_.left, what + "not deleted: " + removed.error().text());
    co_return;
  }
  signs_.deleted(chains, removed->deleted);
  for (const std::string& line : name_lines(removed->deleted))
    report_.note(what + "deleted " + line);
  for (const std::string& kept : removed->kept) report_once(report_.left, what + "kept " + kept);
}

// The kernel frees rules a moment after they are deleted, and until then they use their ipsets.
asio::awaitable<void> KubeProxyGuard::remove_sets(std::vector<std::string> names) {
  std::vector<std::string> deleted;
  std::string why;
  for (int attempt = 0; !names.empty() && attempt < kSetAttempts; ++attempt) {
    if (attempt > 0) co_await pause(options_.poll);
    const auto errors = co_await thread_.run([&] { return kernel_.remove_kube_proxy_sets(names); });
    std::vector<std::string> rest;
    bool busy = false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (errors[i] == 0) deleted.push_back(names[i]);
      if (errors[i] == 0 || errors[i] == ENOENT) continue;
      rest.push_back(names[i]);
      busy |= errors[i] == EBUSY;
      has_failed_ |= errors[i] != EBUSY;
      why = errors[i] == EBUSY ? "rules use them" : reason(errors[i]);
    }
    names = std::move(rest);
    if (!busy) break;
  }
  for (const std::string& line : name_lines(deleted)) {
    report_.note("kube-proxy's ipsets: deleted " + line);
  }
  if (names.empty()) co_return;
  report_once(report_.left,
              "kube-proxy's ipsets " + name_lines(names).front() + ": not deleted: " + why);
}

void KubeProxyGuard::report_left(const std::vector<ipvs::KubeProxyChains>& chains,
                                 const std::vector<std::string>& sets) {
  for (const ipvs::KubeProxyChains& each : chains) {
    report_once(report_.left, "kube-proxy has left chains in " + each.text() +
                                  "; they refuse or redirect traffic of Services: "
                                  "--takeover=auto deletes them");
  }
  if (sets.empty()) return;
  report_once(report_.left, "kube-proxy has left ipsets: " + name_lines(sets).front() +
                                ": --takeover=auto deletes them");
}

void KubeProxyGuard::report_once(const std::function<void(const std::string&)>& report,
                                 std::string line) {
  const bool is_quiet = options_.takeover == Takeover::kOff;
  if (!is_quiet && !now_.contains(line) && !reported_.contains(line)) report(line);
  now_.insert(std::move(line));
}

}  // namespace agent
