// SPDX-License-Identifier: Apache-2.0
#include "config/compared.hpp"

#include <string>
#include <vector>

#include "config/options.hpp"

namespace config {

ParseOutcome parse_compared(const Config& config, const std::string& program,
                            const Environment& environment) {
  std::vector<std::string> words{program, "plan", "--config=" + config.compare_with};
  std::vector<std::string> same{"manifests", "kubeconfig", "master", "hostname-override",
                                "node-addresses"};
  if (!config.manifests.empty()) {
    same.emplace_back("service-cluster-ip-range");
    same.emplace_back("service-node-port-range");
  }
  for (const std::string& flag : same) {
    words.push_back("--" + flag + "=" + find_option(flag)->get(config));
  }
  std::vector<const char*> arguments;
  arguments.reserve(words.size());
  for (const std::string& word : words) arguments.push_back(word.c_str());
  return parse(static_cast<int>(arguments.size()), arguments.data(), environment);
}

}  // namespace config
