// SPDX-License-Identifier: Apache-2.0
//
// The interface through which a source (API server or manifest directory) delivers objects to the
// agent's tables. One sink per kind of object.
//
// Order of the calls, per kind:
//
//   list_started()  upsert(object)*  list_finished()   a complete list. An object that was known
//                                                      before and is not in it was deleted.
//   upsert(object) | remove(key)                       a change, after the first list_finished()
//   remove(key)                                        also during a list: the object was deleted
//                                                      meanwhile
//   keep(key)                                          the object exists but is invalid: its last
//                                                      valid state stays. In a list or after it.
//
// If a list fails half way, the next call is list_started() again. The objects of the failed list
// stay, and nothing is deleted because of it.
//
// Threading: every call is made on the agent's io_context thread.
#pragma once

#include <functional>

#include "k8s/types.hpp"

namespace k8s {

template <typename T>
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void list_started() = 0;
  // Adds or replaces. The object may be moved from, so that a list of thousands is never copied.
  virtual void upsert(T&& object) = 0;
  void upsert(const T& object) { upsert(T(object)); }
  virtual void remove(const ObjectKey& key) = 0;
  virtual void keep(const ObjectKey& key) = 0;
  virtual void list_finished() = 0;
};

// The four kinds that the agent reads. A kind with a null pointer is not requested from the API
// server.
struct Sinks {
  Sink<Service>* services = nullptr;
  Sink<Pod>* pods = nullptr;
  // Pods with a label for their weight, where `pods` is null; from manifests, all Pods. An empty list,
  // once, if they are forbidden.
  Sink<Pod>* weighted_pods = nullptr;
  // From an API server: the agent's own Node. From manifests: all Nodes.
  Sink<Node>* nodes = nullptr;
  // From an API server: all Nodes but the agent's own, after Source::watch_other_nodes().
  Sink<Node>* other_nodes = nullptr;
  Sink<EndpointSlice>* slices = nullptr;
  // Called by a source that chooses itself between Pods and EndpointSlices, when it has a complete
  // list of what it chooses. False: `slices` has those of all Services, and `pods` gets no more; true
  // is the case at the start. Called within the last list_finished().
  std::function<void(bool)> endpoints_from_pods = {};
};

}  // namespace k8s
