// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/queries.hpp"

#include <catch2/catch_test_macros.hpp>

#include "k8s/watch/discovery.hpp"

using k8s::list_query;
using k8s::ListQuery;

TEST_CASE("lists are requested from the watch cache, as client-go does (H1)", "[queries]") {
  CHECK(list_query({}) == "?limit=500&resourceVersion=0");
  CHECK(list_query({.held = "7"}) ==
        "?limit=0&resourceVersion=7&resourceVersionMatch=NotOlderThan");
  // A server without a watch cache sent pages before.
  CHECK(list_query({.held = "7", .server_pages = true}) ==
        "?limit=500&resourceVersion=7&resourceVersionMatch=NotOlderThan");
  CHECK(list_query({.held = "7", .consistent = true}) == "?limit=500");
  CHECK(list_query({.held = "7", .whole = true, .server_pages = true}) ==
        "?limit=0&resourceVersion=7&resourceVersionMatch=NotOlderThan");
  // A resource version and a continue token exclude each other.
  CHECK(list_query({.held = "7", .token = "a b"}) == "?limit=500&continue=a%20b");
}

TEST_CASE("a WatchList asks for the newest state, or one not older than ours", "[queries]") {
  CHECK(k8s::watch_list_query("", std::chrono::seconds(300)) ==
        "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
        "&resourceVersionMatch=NotOlderThan&timeoutSeconds=300");
  CHECK(k8s::watch_list_query("7", std::chrono::seconds(300)) ==
        "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersion=7"
        "&resourceVersionMatch=NotOlderThan&timeoutSeconds=300");
  CHECK(k8s::probe_query("7") == "?limit=1&resourceVersion=7&resourceVersionMatch=NotOlderThan");
}

TEST_CASE("discovery says whether a group has one of the versions, or nothing (H4)", "[queries]") {
  const std::vector<std::string> paths{"/apis/discovery.k8s.io/v1/endpointslices",
                                       "/apis/discovery.k8s.io/v1beta1/endpointslices"};
  const auto groups = [](const std::string& version) {
    return R"({"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"discovery.k8s.io",)"
           R"("versions":[{"groupVersion":")" +
           version + R"(","version":"v1"}]}]})";
  };
  CHECK(k8s::discovery_has(groups("discovery.k8s.io/v1"), paths) == true);
  CHECK(k8s::discovery_has(groups("discovery.k8s.io/v1beta1"), paths) == true);
  CHECK(k8s::discovery_has(groups("discovery.k8s.io/v1alpha1"), paths) == false);
  CHECK(k8s::discovery_has("404 page not found", paths) == std::nullopt);
  CHECK(k8s::discovery_has("", paths) == std::nullopt);
}
