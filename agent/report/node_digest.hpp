// SPDX-License-Identifier: Apache-2.0
//
// What tells this node from others: the digest of what it has planned, and how far it has come. For
// metrics, for GET /plan-digest, which other nodes may ask (kube-ipvs status --peers), and for status.
//
// Threading: the agent's io_context thread.
// Metrics: kube_ipvs_plan_digest, kube_ipvs_programmed_version.
#pragma once

#include <cstdint>
#include <string>

#include "agent/report/sync_reporter.hpp"
#include "agent/sync/sync_loop.hpp"
#include "config/config.hpp"
#include "k8s/source.hpp"

namespace agent {

class NodeDigest {
 public:
  NodeDigest(const config::Config& config, const k8s::Source& source, const SyncLoop& sync,
             SyncReporter& reporter)
      : config_(config), source_(source), sync_(sync), reporter_(reporter) {}

  struct Values {
    std::uint64_t current = 0;  // see PlanDigest
    std::uint64_t common = 0;
    // The resource version up to which Services, Pods and EndpointSlices were carried out, of the kind
    // that is behind; 0: none yet, or all comes from manifests. Where nothing changes, bookmarks raise
    // it, about once a minute if the API server gets progress notifications of etcd.
    std::uint64_t version = 0;
    bool is_settled = false;  // nothing is left to be done
  };
  Values read();
  // {"node": "node-1", "version": "v0.1.0", "digest": "0123456789abc", ...}, one line.
  std::string json();

 private:
  const config::Config& config_;
  const k8s::Source& source_;
  const SyncLoop& sync_;
  SyncReporter& reporter_;
  std::uint64_t version_ = 0;
};

// 13 hexadecimal digits.
std::string digest_text(std::uint64_t digest);

}  // namespace agent
