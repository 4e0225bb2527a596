// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/node_watch.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "agent/log/log.hpp"
#include "k8s/async/borrowed_descriptor.hpp"

namespace agent {

namespace asio = boost::asio;

NodeWatch::NodeWatch(asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
                     ClusterState& cluster, SyncLoop& sync, ForwardGuard& forwarding,
                     TaskGroup& tasks, NodeWatchOptions options)
    : executor_(executor),
      kernel_(kernel),
      thread_(thread),
      cluster_(cluster),
      sync_(sync),
      forwarding_(forwarding),
      tasks_(tasks),
      options_(std::move(options)),
      again_(executor, asio::steady_timer::time_point::max()),
      pause_(options_.retry_first) {}

// Once while it lasts. Always false.
bool NodeWatch::report(const std::string& what, const ipvs::KernelError& error) {
  std::string text = error.text();
  if (faults_[what] == text) return false;
  log_warning("Not read from the kernel: trying again after growing pauses", {{kErr, text}});
  faults_[what] = std::move(text);
  return false;
}

asio::awaitable<bool> NodeWatch::read_families() {
  const auto why = co_await thread_.run_short(true, [this] { return kernel_.why_no_ipv6(); });
  if (!why) co_return report("IPv6", why.error());
  faults_.erase("IPv6");
  if (!cluster_.set_no_ipv6(*why)) co_return true;
  if (why->empty()) {
    log_info("This host has IPv6 now: Services are served in it");
  } else {
    log_warning("Services are served in IPv4 only", {{"cause", *why}});
  }
  co_return true;
}

asio::awaitable<void> NodeWatch::follow_families() {
  while (true) {
    asio::steady_timer pause(executor_, options_.families_period);
    co_await pause.async_wait(asio::use_awaitable);
    co_await read_families();
  }
}

asio::awaitable<bool> NodeWatch::read_addresses() {
  auto local = co_await thread_.run([this] { return kernel_.read_local_addresses(); });
  if (!local) co_return report("addresses", local.error());
  faults_.erase("addresses");
  cluster_.set_local_addresses(std::move(*local));
  if (!std::exchange(has_read_, true)) options_.on_first_read();
  co_return true;
}

asio::awaitable<bool> NodeWatch::read_gateways() {
  auto gateways = co_await thread_.run([this] { return kernel_.read_gateways(); });
  if (!gateways) co_return report("gateways", gateways.error());
  faults_.erase("gateways");
  cluster_.set_gateways(*gateways);
  co_return true;
}

asio::awaitable<void> NodeWatch::read() {
  const bool families = co_await read_families();
  const bool gateways = co_await read_gateways();
  const bool addresses = co_await read_addresses();
  if (families && addresses && gateways) {
    pause_ = options_.retry_first;
    again_.expires_at(asio::steady_timer::time_point::max());
    co_return;
  }
  again_.expires_after(pause_);
  pause_ = std::min(pause_ * 2, options_.retry_limit);
}

asio::awaitable<void> NodeWatch::read_when_due() {
  while (true) {
    // A new time ends the wait; so does being cancelled, after which the next co_await throws.
    const auto [error] = co_await again_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!error) {
      again_.expires_at(asio::steady_timer::time_point::max());
      co_await read();
    }
  }
}

asio::awaitable<void> NodeWatch::run() {
  tasks_.spawn(follow_families());
  tasks_.spawn(read_when_due());
  auto pause = options_.retry_first;
  auto monitors = co_await thread_.run([this] { return kernel_.open_monitors(); });
  const bool is_late = !monitors;
  while (!monitors) {
    report("notifications", monitors.error());
    asio::steady_timer wait(executor_, pause);
    co_await wait.async_wait(asio::use_awaitable);
    pause = std::min(pause * 2, options_.retry_limit);
    monitors = co_await thread_.run([this] { return kernel_.open_monitors(); });
  }
  for (auto& monitor : *monitors) tasks_.spawn(follow(std::move(monitor)));
  if (is_late) co_await check_everything();
}

// What nobody has reported while there were no notifications.
asio::awaitable<void> NodeWatch::check_everything() {
  log_info("The kernel reports changes from now on: everything is checked once");
  sync_.device_changed();
  sync_.settings_changed();
  sync_.table_may_be_lost();
  forwarding_.check_again();
  co_await read();
}

asio::awaitable<void> NodeWatch::follow(std::unique_ptr<ipvs::KernelMonitor> monitor) {
  k8s::BorrowedDescriptor borrowed(executor_, monitor->fd());
  while (true) {
    co_await borrowed.readable.async_wait(asio::posix::descriptor_base::wait_read,
                                          asio::use_awaitable);
    const ipvs::KernelEvents events = monitor->drain();
    // First, because others wait for it. The source address of VIP routes may be another one now.
    if (events.device || events.node_addresses) sync_.device_changed();
    sync_.vips_changed(events.vips);
    if (events.node_addresses) co_await read();
    if (events.settings) sync_.settings_changed();
    if (events.our_table) sync_.table_lost();
    if (events.forwarding) forwarding_.check_again();
  }
}

}  // namespace agent
