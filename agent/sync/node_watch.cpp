// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/node_watch.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace agent {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::seconds kFamiliesPeriod{10};
}  // namespace

NodeWatch::NodeWatch(asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
                     ClusterState& cluster, SyncLoop& sync, ForwardGuard& forwarding,
                     TaskGroup& tasks)
    : executor_(executor),
      kernel_(kernel),
      thread_(thread),
      cluster_(cluster),
      sync_(sync),
      forwarding_(forwarding),
      tasks_(tasks) {}

asio::awaitable<void> NodeWatch::read_families() {
  const std::string why = co_await thread_.run([this] { return kernel_.why_no_ipv6(); });
  if (!cluster_.set_no_ipv6(why)) co_return;
  if (why.empty()) {
    spdlog::info("this host has IPv6 now: Services are served in it");
  } else {
    spdlog::warn("{}: Services are served in IPv4 only", why);
  }
}

// The kernel does not report that IPv6 is turned on or off.
asio::awaitable<void> NodeWatch::follow_families() {
  while (true) {
    asio::steady_timer pause(executor_, kFamiliesPeriod);
    co_await pause.async_wait(asio::use_awaitable);
    co_await read_families();
  }
}

asio::awaitable<void> NodeWatch::read() {
  co_await read_families();
  auto local = co_await thread_.run([this] { return kernel_.read_local_addresses(); });
  if (!local) {
    spdlog::warn("{}", local.error().text());
    co_return;
  }
  cluster_.set_local_addresses(std::move(*local));
  auto gateways = co_await thread_.run([this] { return kernel_.read_gateways(); });
  if (gateways) {
    cluster_.set_gateways(*gateways);
  } else {
    spdlog::warn("{}", gateways.error().text());
  }
}

asio::awaitable<void> NodeWatch::run() {
  auto monitors = co_await thread_.run([this] { return kernel_.open_monitors(); });
  if (!monitors) throw std::runtime_error(monitors.error().text());
  tasks_.spawn(follow_families());
  for (auto& monitor : *monitors) tasks_.spawn(follow(std::move(monitor)));
}

asio::awaitable<void> NodeWatch::follow(std::unique_ptr<ipvs::KernelMonitor> monitor) {
  asio::posix::stream_descriptor readable(executor_, ::dup(monitor->fd()));
  while (true) {
    co_await readable.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
    const ipvs::KernelEvents events = monitor->drain();
    // First, because others wait for it. The source address of VIP routes may be another one now.
    if (events.device || events.node_addresses) sync_.device_changed();
    sync_.vips_changed(events.vips);
    if (events.node_addresses) co_await read();
    if (events.our_table) sync_.table_lost();
    if (events.forwarding) forwarding_.check_again();
  }
}

}  // namespace agent
