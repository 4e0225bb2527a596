// SPDX-License-Identifier: Apache-2.0
//
// /metrics/slis: results of health checks, as every component of Kubernetes serves them
// (KEP-3466; component-base/metrics/prometheus/slis):
//   kubernetes_healthcheck         gauge{name,type}: 1 if the last one succeeded, else 0
//   kubernetes_healthchecks_total  counter{name,type,status}: status "success" or "error"
// `type` is the path that was asked, "healthz", "livez" or "readyz"; `name` is "ping", the only check
// that kube-proxy registers. Its ping always succeeds; ours is what the path answers.
//
// Threading: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace agent {

class Slis {
 public:
  void note(const std::string& type, bool succeeded);
  // Prometheus text format 0.0.4; with process_start_time_seconds, as upstream.
  std::string text() const;

 private:
  struct Results {
    bool last = false;
    std::uint64_t successes = 0;
    std::uint64_t errors = 0;
  };
  std::map<std::string, Results> results_;  // by type
};

}  // namespace agent
