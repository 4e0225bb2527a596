// SPDX-License-Identifier: Apache-2.0
//
// Where sources deliver what they learn. A source (API server or manifest directory) calls; the agent's
// tables implement. One sink per kind of object.
//
// Protocol of the calls, per kind:
//
//   list_started()  upsert(object)*  list_finished()      a full list; whatever was known before and is not
//                                                         repeated before list_finished() no longer exists
//   upsert(object) | remove(key)                          a change, after the first list_finished()
//   keep(key)                                             the object exists but could not be decoded: its
//                                                         last good state stays (in a list: it is not gone)
//
// A list that breaks off half way is followed by another list_started(): what the broken one had delivered
// stays, nothing is removed for want of having been repeated in it.
//
// Threading: all calls come on the agent's io_context thread.
#pragma once

#include "k8s/types.hpp"

namespace k8s {

template <typename T>
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void list_started() = 0;
  virtual void upsert(T&& object) = 0;  // may be moved from: thousands pass through several sinks
  void upsert(const T& object) { upsert(T(object)); }
  virtual void remove(const ObjectKey& key) = 0;
  virtual void keep(const ObjectKey& key) = 0;
  virtual void list_finished() = 0;
};

// The four kinds the agent consumes. A null pointer: that kind is not wanted, and is not asked for.
struct Sinks {
  Sink<Service>* services = nullptr;
  Sink<Pod>* pods = nullptr;
  Sink<Node>* nodes = nullptr;
  Sink<EndpointSlice>* slices = nullptr;
};

}  // namespace k8s
