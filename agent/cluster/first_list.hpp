// SPDX-License-Identifier: Apache-2.0
//
// Passes a sink's calls on, and calls `delivered` once, after the first full list.
#pragma once

#include <functional>
#include <utility>

#include "k8s/sink.hpp"

namespace agent {

template <typename T>
class FirstList : public k8s::Sink<T> {
 public:
  FirstList(k8s::Sink<T>& next, std::function<void()> delivered)
      : next_(next), delivered_(std::move(delivered)) {}

  bool is_delivered() const { return !delivered_; }

  void list_started() override { next_.list_started(); }
  void upsert(T&& object) override { next_.upsert(std::move(object)); }
  void remove(const k8s::ObjectKey& key) override { next_.remove(key); }
  void keep(const k8s::ObjectKey& key) override { next_.keep(key); }
  void list_finished() override {
    next_.list_finished();
    if (delivered_) std::exchange(delivered_, nullptr)();
  }

 private:
  k8s::Sink<T>& next_;
  std::function<void()> delivered_;
};

}  // namespace agent
