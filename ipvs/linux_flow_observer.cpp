// SPDX-License-Identifier: Apache-2.0
#include "ipvs/linux_flow_observer.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include "ipvs/linux_kernel.hpp"
#include "ipvs/ready.hpp"

namespace ipvs {
namespace {

constexpr const char* kEventsKey = "net/netfilter/nf_conntrack_events";
constexpr const char* kAccountingKey = "net/netfilter/nf_conntrack_acct";
// Rules of a table are passed one by one for each new connection.
constexpr std::size_t kMostRules = 256;

}  // namespace

Result<std::unique_ptr<FlowObserver>> LinuxFlowObserver::open(const Sysctls& sysctls,
                                                              std::span<const ServerKey> servers) {
  auto listener = FlowListener::open();
  if (!listener) return listener.error();
  const auto events = sysctls.read(kEventsKey);
  if (!events) {
    return KernelError{EOPNOTSUPP, "this kernel has no events of connection tracking (" +
                                       std::string(kEventsKey) + ")"};
  }
  const Events mode = *events == "0"   ? Events::kNone
                      : *events == "1" ? Events::kAll
                                       : Events::kIfListened;
  std::unique_ptr<LinuxFlowObserver> observer(new LinuxFlowObserver(std::move(*listener), mode));
  const auto accounting = sysctls.read(kAccountingKey);
  observer->facts_.counts_bytes = accounting && *accounting == "1";
  if (auto set = observer->set_servers(servers); !set) return set.error();
  return std::unique_ptr<FlowObserver>(std::move(observer));
}

Result<void> LinuxFlowObserver::set_servers(std::span<const ServerKey> servers) {
  servers_ = {servers.begin(), servers.end()};
  if (auto set = listener_.set_servers(servers); !set) return set.error();
  return limit();
}

void LinuxFlowObserver::allow_only_these(bool allowed) {
  is_allowed_ = allowed;
  if (!allowed && events_ == Events::kIfListened) {
    stop_limiting("another observation is under way");
  }
}

void LinuxFlowObserver::check() {
  if (table_ && events_ == Events::kIfListened && listener_.others_listen()) {
    stop_limiting("others listen to conntrack events, too");
  }
}

void LinuxFlowObserver::stop_limiting(std::string why) {
  table_.reset();
  facts_.limit = EventLimit::kFiltered;
  facts_.why = std::move(why);
}

// Without its table an observer of kNone would hear nothing.
Result<void> LinuxFlowObserver::limit() {
  if (events_ == Events::kAll) {
    stop_limiting(std::string(kEventsKey) + " is 1");
    return {};
  }
  if (events_ == Events::kIfListened) {
    if (!is_allowed_) {
      stop_limiting("another observation is under way");
      return {};
    }
    if (listener_.others_listen()) {
      stop_limiting("others listen to conntrack events, too");
      return {};
    }
  }
  const auto made = install();
  if (made) {
    facts_.limit = EventLimit::kOnlyThese;
    facts_.why.clear();
    return {};
  }
  stop_limiting(made.error().text());
  if (events_ == Events::kIfListened) return {};
  return KernelError{
      made.error().error_number,
      std::string(kEventsKey) +
          " is 0, and these connections alone cannot get events: " + made.error().what};
}

Result<void> LinuxFlowObserver::install() {
  if (servers_.size() > kMostRules) {
    return KernelError{
        0, "the Service has more than " + std::to_string(kMostRules) + " addresses and ports"};
  }
  const auto table = ready(table_);
  if (!table) return table.error();
  return (*table)->install(servers_, events_ == Events::kIfListened);
}

Result<std::unique_ptr<FlowObserver>> LinuxKernel::open_flow_observer(
    std::span<const ServerKey> servers) {
  return LinuxFlowObserver::open(sysctls_, servers);
}

}  // namespace ipvs
