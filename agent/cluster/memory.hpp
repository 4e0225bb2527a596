// SPDX-License-Identifier: Apache-2.0
//
// What an agent knows that neither the cluster nor the kernel tells the next one: when this node
// first saw that a Pod drains, and which Services linger (agent/adr-notes.md). Kept as notes, which
// the sync loop writes before it changes the kernel, and an agent reads before its source begins.
//
//   pod NS/NAME        REQUESTED GRACE SINCE ENDS    a Pod that is being deleted, and drains
//   unready NS/NAME    CHANGED SINCE                 one that is not ready, and drains
//   service NS/NAME    SECONDS SINCE|- KEY...        a Service with kube-ipvs.io/linger; SINCE: it is
//                                                    deleted; KEY: "TCP,10.96.0.1,80"
//
// REQUESTED and CHANGED are times of the object, by which it is recognised: a Pod of the same name
// may be another one. SINCE and ENDS are this node's (agent/cluster/clocks.hpp). Only what drains or
// may linger has a note, so their number is small.
//
// Errors: a note that is not understood, or is of the future, is as if there were none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "ipvs/state/model.hpp"
#include "ipvs/state/notes.hpp"
#include "k8s/types.hpp"

namespace agent {

class Memory {
 public:
  // What the last agent wrote; `now` on the same clock.
  void load(const ipvs::Notes& notes, MonotonicSeconds now);

  // A Pod that is being deleted: as the API server says, and as this node saw it.
  struct Deletion {
    k8s::UnixSeconds requested = 0;
    std::uint32_t grace = 0;
    MonotonicSeconds since = 0;
    MonotonicSeconds ends = 0;
  };
  std::optional<Deletion> deletion_of(const k8s::ObjectKey& pod, k8s::UnixSeconds requested);
  void drains(const k8s::ObjectKey& pod, const Deletion& deletion);
  // One that is not ready any more.
  std::optional<MonotonicSeconds> unready_since(const k8s::ObjectKey& pod,
                                                k8s::UnixSeconds changed);
  void drains_unready(const k8s::ObjectKey& pod, k8s::UnixSeconds changed, MonotonicSeconds since);
  void forget_pod(const k8s::ObjectKey& pod);
  void is_ready(const k8s::ObjectKey& pod);

  struct Linger {
    std::uint32_t seconds = 0;
    std::optional<MonotonicSeconds> since{};  // nullopt: it was not deleted yet
    std::vector<ipvs::ServerKey> servers{};
  };
  // All that the last agent knew of.
  std::map<std::string, Linger> lingering() const;
  void lingers(const std::string& service, const Linger& linger);
  void forget_service(const std::string& service);

  // All Pods are known: the notes of others are dropped.
  void forget_other_pods();
  // The changes since the last call, to be written.
  std::vector<ipvs::Note> take_changes();

 private:
  struct Entry {
    std::string value;
    bool is_confirmed = false;  // the object exists; false: the last agent said so
  };
  void put(std::string key, std::string value);
  void erase(const std::string& key);
  Entry* find(std::string_view kind, const k8s::ObjectKey& key);

  MonotonicSeconds loaded_at_ = 0;
  std::map<std::string, Entry> entries_;
  std::vector<ipvs::Note> changes_;
};

}  // namespace agent
