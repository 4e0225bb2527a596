// SPDX-License-Identifier: Apache-2.0
//
// Passes a sink's calls on, and calls `delivered` once, after the first full list. While it does,
// `event` says what is being taken in.
#pragma once

#include <functional>
#include <utility>

#include "agent/cluster/source_event.hpp"
#include "k8s/sink.hpp"

namespace agent {

template <typename T>
class FirstList : public k8s::Sink<T> {
 public:
  FirstList(k8s::Sink<T>& next, const char* kind, SourceEvent& event,
            std::function<void()> delivered)
      : next_(next), kind_(kind), event_(event), delivered_(std::move(delivered)) {}

  bool is_delivered() const { return !delivered_; }

  void list_started() override {
    is_listing_ = true;
    next_.list_started();
  }
  void upsert(T&& object) override {
    begin(is_listing_ ? "listed" : "changed", object.meta.key);
    event_.resource_version = object.meta.resource_version;
    next_.upsert(std::move(object));
    event_.kind = "";
  }
  void remove(const k8s::ObjectKey& key) override {
    begin("deleted", key);
    next_.remove(key);
    event_.kind = "";
  }
  void keep(const k8s::ObjectKey& key) override { next_.keep(key); }
  void list_finished() override {
    begin("not in the list any more", {});
    next_.list_finished();
    event_.kind = "";
    is_listing_ = false;
    if (delivered_) std::exchange(delivered_, nullptr)();
  }

 private:
  void begin(const char* verb, const k8s::ObjectKey& key) {
    event_.kind = kind_;
    event_.verb = verb;
    event_.key = key;
    event_.resource_version.clear();
  }

  k8s::Sink<T>& next_;
  const char* const kind_;
  SourceEvent& event_;
  bool is_listing_ = false;
  std::function<void()> delivered_;
};

}  // namespace agent
