// SPDX-License-Identifier: Apache-2.0
//
// A source of cluster state: it fills the Sinks and keeps them up to date. There are two: the API
// server (k8s/watch/cluster_source.hpp) and a directory of manifests (k8s/manifests/source.hpp).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace k8s {

// An error from which the source recovered, for the log, the counters and health.
// `kind` is one of "decode", "list", "watch", "manifest", "conflict", "unserved"; or "note", which is
// no fault: said once, for information.
struct SourceFault {
  std::string kind;
  std::string what;         // one line: the file or object, the field, and what is done about it
  int status = 0;           // HTTP, of a request that the server refused; else 0
  std::string object = {};  // which one, as in `what`: "Service default/web"; "": none
};

// Counts for one kind of object since the source started, for metrics.
struct KindCounters {
  std::string kind;         // "EndpointSlice"
  std::uint64_t lists = 0;  // requested, the first included; a list's pages count once. A WatchList
                            // is a list and a watch
  std::uint64_t relists = 0;        // requested after a complete list had been delivered
  std::uint64_t watches = 0;        // requested; each but an open one has ended
  std::uint64_t events = 0;         // objects of lists and events of watches, without bookmarks
  std::uint64_t bookmarks = 0;      // of watches
  std::uint64_t page_retries = 0;   // pages of lists requested again
  std::uint64_t probes = 0;         // requests whether the server has our resource version
  std::uint64_t confirmations = 0;  // lists not believed before a second one
  std::uint64_t bytes = 0;          // of response bodies as decoded: after TLS and inflated
  // The resource version up to which the sink is up to date; 0: none yet, or it is no number. Numbers
  // of all kinds can be compared (KEP-5504).
  std::uint64_t version = 0;
  // Since the API server last answered about this kind (a list, an event, a bookmark, a probe, a
  // refusal), or since the start. 0 while a watch is open (TCP keep-alive ends that of an
  // unreachable server within 45 s), and for a kind that the server does not have.
  double seconds_since_contact = 0;
};

class Source {
 public:
  virtual ~Source() = default;

  // Lists, then watches, until it is cancelled (Asio's terminal cancellation of the spawned
  // coroutine) or meets an error that no retry can fix. Never throws because of what the other side
  // does.
  virtual boost::asio::awaitable<void> run() = 0;

  // One entry per kind of object that is requested from an API server; none for manifests.
  virtual std::vector<KindCounters> counters() const { return {}; }

  // The addresses by which this source reaches the API server or its proxy: as configured, as
  // resolved lately, as connected. Sorted, each once; empty for manifests. What a Service asks for
  // must never be one of them.
  virtual std::vector<boost::asio::ip::address> server_addresses() const { return {}; }
  // `changed` is called after each change of server_addresses(), on the source's thread, also
  // before run(). Replaces the last one; it must be callable as long as the source lives.
  virtual void on_server_addresses(const std::function<void()>& /*changed*/) {}

  // From now on other Nodes are needed, too. True: Sinks::other_nodes gets them. If it does not soon,
  // because the server forbids it (403) or three requests have failed, `unavailable` is called, once,
  // with the last fault; they may still come later. False: Sinks::nodes gets them anyway.
  virtual bool watch_other_nodes(
      const std::function<void(const std::string& why)>& /*unavailable*/) {
    return false;
  }
};

using FaultHandler = std::function<void(const SourceFault&)>;

}  // namespace k8s
