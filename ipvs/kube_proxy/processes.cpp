// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/processes.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace ipvs {
namespace {

constexpr std::string_view kName = "kube-proxy";
constexpr std::string_view kOurName = "kube-ipvs";
constexpr std::size_t kMaxCommand = 300;

std::string link_of(const std::string& path) {
  std::array<char, 512> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return {target.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string first_of(const std::string& path, std::size_t limit) {
  std::ifstream file(path, std::ios::binary);
  std::string text(limit, '\0');
  file.read(text.data(), static_cast<std::streamsize>(limit));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

// The arguments, on one line.
std::string command_of(const std::string& directory) {
  std::string command = first_of(directory + "/cmdline", kMaxCommand);
  for (char& c : command) {
    if (c < ' ' || c > '~') c = ' ';
  }
  command.erase(command.find_last_not_of(' ') + 1);
  return command;
}

std::optional<int> pid_of(std::string_view name) {
  int pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

// Whether the file that it was started from is called kube-ipvs, whatever the link to it.
bool is_ours(const std::string& directory) {
  const std::string program = link_of(directory + "/exe");
  return std::string_view(program).substr(program.rfind('/') + 1).starts_with(kOurName);
}

}  // namespace

std::vector<KubeProxyProcess> find_kube_proxies(const std::string& proc) {
  std::vector<KubeProxyProcess> found;
  const std::string own = link_of(proc + "/thread-self/ns/net");
  const std::string self = link_of(proc + "/self");
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(proc.c_str()), ::closedir);
  if (!directory || own.empty()) return found;
  while (const dirent* entry = ::readdir(directory.get())) {
    const auto pid = pid_of(entry->d_name);
    if (!pid || self == entry->d_name) continue;
    const std::string process = proc + "/" + entry->d_name;
    std::string name = first_of(process + "/comm", kName.size() + 2);
    if (!name.empty() && name.back() == '\n') name.pop_back();
    if (name != kName || link_of(process + "/ns/net") != own) continue;
    if (is_ours(process)) continue;
    std::string command = command_of(process);
    if (!command.empty()) found.push_back({*pid, std::move(command)});  // else it has ended
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return found;
}

}  // namespace ipvs
