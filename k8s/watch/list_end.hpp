// SPDX-License-Identifier: Apache-2.0
//
// Passes a sink's calls on, and calls `finished` after each complete list.
#pragma once

#include <functional>
#include <utility>

#include "k8s/sink.hpp"

namespace k8s {

template <typename T>
class ListEnd final : public Sink<T> {
 public:
  ListEnd(Sink<T>& next, std::function<void()> finished)
      : next_(next), finished_(std::move(finished)) {}

  void list_started() override { next_.list_started(); }
  void upsert(T&& object) override { next_.upsert(std::move(object)); }
  void remove(const ObjectKey& key) override { next_.remove(key); }
  void keep(const ObjectKey& key) override { next_.keep(key); }
  void list_finished() override {
    next_.list_finished();
    finished_();
  }

 private:
  Sink<T>& next_;
  const std::function<void()> finished_;
};

}  // namespace k8s
