// SPDX-License-Identifier: Apache-2.0
//
// A source of cluster state: something that fills Sinks and keeps them up to date. Two exist: the API
// server (k8s/watch/cluster_source.hpp) and a directory of manifests (k8s/manifests/source.hpp).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace k8s {

// A fault a source met and went on from: what the log, the counters and health show.
// `kind` is one of the constant words "decode", "list", "watch", "manifest", "conflict", "unserved".
struct SourceFault {
  std::string kind;
  std::string what;  // one line naming the file or object, the field, and what is done about it
};

class Source {
 public:
  virtual ~Source() = default;

  // Lists, then watches, until cancelled (asio terminal cancellation of the spawned coroutine) or
  // until a fault no retry can mend. Never throws for peer errors.
  virtual boost::asio::awaitable<void> run() = 0;

  // Seconds on the steady clock since the source last heard from its peer on every kind, for health;
  // 0 for the manifest directory.
  virtual double seconds_since_contact() const = 0;
};

using FaultHandler = std::function<void(const SourceFault&)>;

}  // namespace k8s
