// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/queries.hpp"

#include "k8s/client/url.hpp"

namespace k8s {
namespace {

std::string not_older_than(const std::string& version) {
  return "&resourceVersion=" + percent_encode(version) + "&resourceVersionMatch=NotOlderThan";
}

std::string timeout_text(std::chrono::seconds timeout) {
  return "&timeoutSeconds=" + std::to_string(timeout.count());
}

}  // namespace

std::string list_query(const ListQuery& query) {
  const auto limit = [&](bool paged) {
    return "?limit=" + (paged && !query.whole ? std::to_string(query.limit) : std::string("0"));
  };
  if (!query.token.empty()) return limit(true) + "&continue=" + percent_encode(query.token);
  if (query.consistent) return limit(true);
  if (query.held.empty()) return limit(true) + "&resourceVersion=0";
  return limit(query.server_pages) + not_older_than(query.held);
}

std::string probe_query(const std::string& held) { return "?limit=1" + not_older_than(held); }

std::string watch_query(const std::string& held, std::chrono::seconds timeout) {
  return "?watch=true&allowWatchBookmarks=true&resourceVersion=" + percent_encode(held) +
         timeout_text(timeout);
}

std::string watch_list_query(const std::string& held, std::chrono::seconds timeout) {
  return "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true" +
         (held.empty() ? std::string("&resourceVersionMatch=NotOlderThan") : not_older_than(held)) +
         timeout_text(timeout);
}

}  // namespace k8s
