// SPDX-License-Identifier: Apache-2.0
#include "agent/process_settings.hpp"

#include <fstream>

namespace agent {

std::string set_oom_score_adj(std::optional<int> wanted) {
  if (!wanted) return {};
  std::ofstream file("/proc/self/oom_score_adj");
  file << *wanted << std::flush;
  if (file) return {};
  return "--oom-score-adj: the kernel refuses " + std::to_string(*wanted) +
         "; a lower value needs CAP_SYS_RESOURCE";
}

}  // namespace agent
