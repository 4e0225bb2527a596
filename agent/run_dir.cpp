// SPDX-License-Identifier: Apache-2.0
#include "agent/run_dir.hpp"

#include <filesystem>
#include <system_error>

#include "ipvs/host/run_file.hpp"

namespace agent {

namespace fs = std::filesystem;

std::string in_run_dir(const config::Config& config, std::string_view name) {
  return ipvs::run_file_path(config.run_dir, name, ipvs::kernel_and_namespace());
}

std::string socket_of(const config::Config& config) {
  if (!config.api_socket.empty()) return config.api_socket;
  return config.run_dir.empty() ? "off" : config.run_dir + "/api.sock";
}

std::vector<std::string> remove_answers(const config::Config& config) {
  std::vector<std::string> faults;
  const auto note = [&faults](const std::string& path, const std::error_code& error) {
    if (error) faults.push_back(path + ": " + error.message());
  };
  std::error_code error;
  for (const std::string_view name : {kHistory, kDrains}) {
    const std::string path = in_run_dir(config, name);
    if (path.empty()) continue;
    fs::remove_all(path, error);
    note(path, error);
  }
  // Another path may be somebody else's by now.
  const std::string socket = socket_of(config);
  if (config.api_socket.empty() && fs::is_socket(socket, error)) {
    fs::remove(socket, error);
    note(socket, error);
  }
  return faults;
}

}  // namespace agent
