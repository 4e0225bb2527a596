// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/discovery.hpp"

#include <algorithm>

namespace k8s {
namespace {

// "discovery.k8s.io/v1" of "/apis/discovery.k8s.io/v1/endpointslices"; "": the core group.
std::string group_version(std::string_view path) {
  constexpr std::string_view kPrefix = "/apis/";
  if (!path.starts_with(kPrefix)) return {};
  path.remove_prefix(kPrefix.size());
  return std::string(path.substr(0, path.rfind('/')));
}

bool has_string(std::string_view body, const std::string& text) {
  return body.find('"' + text + '"') != std::string_view::npos;
}

}  // namespace

std::optional<bool> discovery_has(std::string_view body, const std::vector<std::string>& paths) {
  if (!has_string(body, "APIGroupList")) return std::nullopt;
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    const std::string wanted = group_version(path);
    return wanted.empty() || has_string(body, wanted);
  });
}

}  // namespace k8s
