// SPDX-License-Identifier: Apache-2.0
#include "agent/report/slis.hpp"

#include <sstream>

#include "agent/report/process_stats.hpp"

namespace agent {

void Slis::note(const std::string& type, bool succeeded) {
  Results& results = results_[type];
  results.last = succeeded;
  ++(succeeded ? results.successes : results.errors);
}

std::string Slis::text() const {
  std::ostringstream text;
  if (!results_.empty()) {
    text << "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single "
            "healthcheck.\n# TYPE kubernetes_healthcheck gauge\n";
    for (const auto& [type, results] : results_) {
      text << "kubernetes_healthcheck{name=\"ping\",type=\"" << type << "\"} "
           << (results.last ? 1 : 0) << "\n";
    }
    text << "# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all "
            "healthcheck.\n# TYPE kubernetes_healthchecks_total counter\n";
    for (const auto& [type, results] : results_) {
      const auto line = [&, &of = type](const char* status, std::uint64_t count) {
        if (count == 0) return;
        text << "kubernetes_healthchecks_total{name=\"ping\",status=\"" << status << "\",type=\""
             << of << "\"} " << count << "\n";
      };
      line("error", results.errors);
      line("success", results.successes);
    }
  }
  text << "# HELP process_start_time_seconds Unix time of the process's start.\n"
          "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds "
       << std::fixed << read_process_stats().start_time_seconds << "\n";
  return text.str();
}

}  // namespace agent
