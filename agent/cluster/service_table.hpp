// SPDX-License-Identifier: Apache-2.0
//
// The Services this node knows, as their source last gave them. Tells the endpoint table of their
// selectors and the sync loop which of them changed.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <map>

#include "agent/cluster/mark_and_sweep.hpp"
#include "k8s/sink.hpp"

namespace agent {

class ServiceTable : public k8s::Sink<k8s::Service> {
 public:
  struct Events {
    std::function<void(const k8s::Service&)> changed;  // new, or any field we read differs
    std::function<void(const k8s::Service&)> removed;  // as it last was
  };
  explicit ServiceTable(Events events) : events_(std::move(events)) {}

  void list_started() override { sweep_.list_started(); }
  void upsert(k8s::Service&& service) override;
  using Sink::upsert;
  void remove(const k8s::ObjectKey& key) override;
  void keep(const k8s::ObjectKey& key) override;
  void list_finished() override;

  // nullptr where there is no such Service.
  const k8s::Service* find(const k8s::ObjectKey& key) const;
  std::size_t size() const { return services_.size(); }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, record] : services_) visit(record.service);
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
