// SPDX-License-Identifier: Apache-2.0
//
// Decides, with --endpoint-source=auto, whether endpoints come from Pods or from EndpointSlices. Pure.
//
//   Pods are listed                      -> Pods
//   Pods are forbidden (403)             -> all EndpointSlices are requested; what is known stays in
//                                           force until they have been listed completely
//   later a list of Pods is complete     -> Pods again
//
// Before the first list of Pods one refusal is enough, so that a start does not wait. Afterwards it
// takes two, of a watch and of the list that follows: one server of several may know the rights late.
#pragma once

namespace k8s {

class EndpointChoice {
 public:
  // True: `wants_all_slices()` has become true.
  bool pods_refused() {
    ++refusals_;
    if (all_slices_ || (listed_pods_ && refusals_ < 2)) return false;
    return all_slices_ = true;
  }
  // A complete list. True: what is wanted, or what is in force, has changed.
  bool pods_listed() {
    refusals_ = 0;
    listed_pods_ = true;
    const bool changed = all_slices_ || !from_pods_;
    all_slices_ = false;
    from_pods_ = true;
    return changed;
  }
  // A complete list of all EndpointSlices. True: they are in force from now on.
  bool slices_listed() {
    if (!all_slices_ || !from_pods_) return false;
    from_pods_ = false;
    return true;
  }

  bool wants_all_slices() const { return all_slices_; }
  bool from_pods() const { return from_pods_; }
  bool listed_pods() const { return listed_pods_; }

 private:
  bool listed_pods_ = false;  // some time before
  unsigned refusals_ = 0;     // since
  bool all_slices_ = false;
  bool from_pods_ = true;  // in force
};

}  // namespace k8s
