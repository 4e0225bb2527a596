// SPDX-License-Identifier: Apache-2.0
//
// The observers of connections of a FakeKernel.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "test/fake/fake_kernel.hpp"

namespace fake {

class FakeKernel::Observer : public ipvs::FlowObserver {
 public:
  Observer(FakeKernel& kernel, std::span<const ipvs::ServerKey> servers)
      : kernel_(kernel), servers_(servers.begin(), servers.end()) {
    kernel_.observers_.insert(this);
  }
  ~Observer() override {
    kernel_.observers_.erase(this);
    ::close(fd_);
  }
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  int fd() const override { return fd_; }
  ipvs::Result<void> set_servers(std::span<const ipvs::ServerKey> servers) override {
    servers_ = {servers.begin(), servers.end()};
    return {};
  }
  void allow_only_these(bool allowed) override { kernel_.allowed_only_these.push_back(allowed); }
  void check() override {}
  Facts facts() const override { return kernel_.flow_facts; }
  Drained drain(const std::function<void(const ipvs::FlowEvent&)>& on_event) override {
    eventfd_t ignored = 0;
    ::eventfd_read(fd_, &ignored);
    for (const ipvs::FlowEvent& each : std::exchange(waiting_, {})) on_event(each);
    return {.lost = std::exchange(lost_, false)};
  }
  std::optional<ipvs::FlowBytes> read_bytes(const ipvs::FlowEvent& event) override {
    const auto found = kernel_.bytes_of_clients.find(event.key.client);
    if (found == kernel_.bytes_of_clients.end()) return std::nullopt;
    return found->second;
  }

  void take(const ipvs::FlowEvent& event) {
    const ipvs::ServerKey server{event.key.entrance.address, event.key.entrance.port,
                                 event.key.protocol};
    if (std::find(servers_.begin(), servers_.end(), server) == servers_.end()) return;
    waiting_.push_back(event);
    ::eventfd_write(fd_, 1);
  }
  void lose() {
    lost_ = true;
    ::eventfd_write(fd_, 1);
  }

 private:
  FakeKernel& kernel_;
  std::vector<ipvs::ServerKey> servers_;
  const int fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::vector<ipvs::FlowEvent> waiting_;
  bool lost_ = false;
};

ipvs::Result<std::unique_ptr<ipvs::FlowObserver>> FakeKernel::open_flow_observer(
    std::span<const ipvs::ServerKey> keys) {
  if (!observer_fault.empty()) return ipvs::KernelError{0, observer_fault};
  return std::unique_ptr<ipvs::FlowObserver>(std::make_unique<Observer>(*this, keys));
}

void FakeKernel::happen(const ipvs::FlowEvent& event) {
  for (Observer* each : observers_) each->take(event);
}

void FakeKernel::lose_flow_events() {
  for (Observer* each : observers_) each->lose();
}

}  // namespace fake
