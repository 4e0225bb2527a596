// SPDX-License-Identifier: Apache-2.0
//
// Whether the Nodes of others are needed, and whether what needs them still waits for them.
//
//   not needed --need()--> awaited --delivered()---> known
//                             |                        ^
//                             +--unavailable(why)--> given up, with a fault --delivered()
//
// Once needed, they stay so: it would cost more to follow the last Service that needs them than to
// keep a watch, and most such Services stay.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <string>
#include <utility>

namespace agent {

class OtherNodes {
 public:
  // `request`: see ClusterObserver::request_other_nodes(). `changed`: awaited() has.
  OtherNodes(std::function<bool()> request, std::function<void()> changed)
      : request_(std::move(request)), changed_(std::move(changed)) {}

  void need() {
    if (std::exchange(is_needed_, true)) return;
    set_awaited(request_());
  }
  void delivered() {
    is_delivered_ = true;
    fault_.clear();
    set_awaited(false);
  }
  void unavailable(const std::string& why) {
    if (is_delivered_) return;
    fault_ = why;
    set_awaited(false);
  }

  bool awaited() const { return is_awaited_; }
  // Why they are not known though needed; "": nothing is wrong.
  const std::string& fault() const { return fault_; }

 private:
  void set_awaited(bool awaited) {
    if (std::exchange(is_awaited_, awaited) != awaited) changed_();
  }

  const std::function<bool()> request_;
  const std::function<void()> changed_;
  bool is_needed_ = false;
  bool is_awaited_ = false;
  bool is_delivered_ = false;
  std::string fault_;
};

}  // namespace agent
