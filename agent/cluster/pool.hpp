// SPDX-License-Identifier: Apache-2.0
//
// Stores equal values once: the node name of a hundred Pods, the port list of a Deployment's Pods.
// A handle has the size of a pointer; a value is deleted with its last handle.
//
// Threading: none of its own. The pool must outlive its handles.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

namespace agent {

template <typename T>
class Pool {
  struct Use {
    Pool* pool = nullptr;
    std::size_t handles = 0;
  };
  using Node = std::pair<const T, Use>;

 public:
  class Handle {
   public:
    Handle() = default;
    Handle(Handle&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
      std::swap(node_, other.node_);
      return *this;
    }
    ~Handle() {
      if (!node_ || --node_->second.handles > 0) return;
      auto& values = node_->second.pool->values_;
      values.erase(values.find(node_->first));
    }

    // Precondition: the handle is not empty.
    const T& operator*() const { return node_->first; }
    const T* operator->() const { return &node_->first; }
    // Whether both have the same value. Precondition: both are of one pool.
    bool operator==(const Handle& other) const { return node_ == other.node_; }

   private:
    friend class Pool;
    explicit Handle(Node& node) : node_(&node) { ++node.second.handles; }
    Node* node_ = nullptr;
  };

  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Handle hold(T value) {
    const auto place = values_.try_emplace(std::move(value), Use{.pool = this}).first;
    return Handle(*place);
  }
  std::size_t size() const { return values_.size(); }

 private:
  std::map<T, Use> values_;
};

}  // namespace agent
