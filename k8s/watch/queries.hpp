// SPDX-License-Identifier: Apache-2.0
//
// The query parameters of the reflector's requests, without selectors. Pure.
//
// What each means to the API server (website api-concepts, "Resource versions"):
//
//   limit=N&resourceVersion=0                  any state, from the watch cache, which ignores the
//                                              limit; a server without one sends pages
//   limit=0&resourceVersion=V&
//     resourceVersionMatch=NotOlderThan        at least as new as V, from the watch cache. With a
//                                              limit, servers before 1.31 would ask etcd
//   limit=N                                    consistent: the newest state of the store
//   limit=N&continue=TOKEN                     the next page of the same state
//   watch=true&resourceVersion=V               events after V
//   watch=true&sendInitialEvents=true&...      WatchList (KEP-3157): all objects, then a bookmark
//                                              that ends them, then events
#pragma once

#include <chrono>
#include <string>

namespace k8s {

struct ListQuery {
  std::string held = {};   // the version that the caller has; "": none
  std::string token = {};  // of the next page; "": the first page
  unsigned limit = 500;
  bool consistent = false;
  bool whole = false;         // without pages
  bool server_pages = false;  // this server sends pages even from resourceVersion=0
};

// Each begins with '?'.
std::string list_query(const ListQuery& query);
// One object of a state at least as new as `held`: shows that the store has that version.
std::string probe_query(const std::string& held);
std::string watch_query(const std::string& held, std::chrono::seconds timeout);
// `held` "": the newest state of the store.
std::string watch_list_query(const std::string& held, std::chrono::seconds timeout);

}  // namespace k8s
