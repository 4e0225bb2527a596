// SPDX-License-Identifier: Apache-2.0
//
// The Services this node knows, as their source last delivered them. Reports which of them changed.
//
// Threading: the agent's io_context thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "agent/cluster/mark_and_sweep.hpp"
#include "k8s/sink.hpp"

namespace agent {

class ServiceTable : public k8s::Sink<k8s::Service> {
 public:
  struct Events {
    std::function<void(const k8s::Service&)> changed;  // new, or any field that we read changed
    std::function<void(const k8s::Service&)> removed;  // its last state; no longer in the table
  };
  explicit ServiceTable(Events events) : events_(std::move(events)) {}

  void list_started() override { sweep_.list_started(); }
  void upsert(k8s::Service&& service) override;
  using Sink::upsert;
  void remove(const k8s::ObjectKey& key) override;
  void keep(const k8s::ObjectKey& key) override { sweep_.keep(services_, key); }
  void list_finished() override;

  // nullptr: there is no such Service.
  const k8s::Service* find(const k8s::ObjectKey& key) const;
  std::size_t size() const { return services_.size(); }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, record] : services_) visit(record.service);
  }
  // Of at most `count` Services whose keys follow `key`, in their order; `key` becomes that of the
  // last one. True: there are more.
  template <typename Visit>
  bool for_some_after(k8s::ObjectKey& key, std::size_t count, Visit visit) const {
    auto at = services_.upper_bound(key);
    for (; at != services_.end() && count > 0; ++at, --count) {
      visit(at->second.service);
      key = at->first;
    }
    return at != services_.end();
  }

 private:
  struct Record {
    k8s::Service service;
    std::uint32_t mark = 0;
  };
  Events events_;
  std::map<k8s::ObjectKey, Record> services_;
  MarkAndSweep sweep_;
};

}  // namespace agent
