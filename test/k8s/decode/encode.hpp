// SPDX-License-Identifier: Apache-2.0
//
// Encodes the types of k8s/types.hpp as the JSON that an API server would send, for property tests
// and for the fake API server. decode(to_json(x)) == x for every x that the decoders can produce.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "k8s/types.hpp"

namespace k8s::test {

// With kind and apiVersion, compact, in the key order of the API server.
std::string to_json(const Service& service);
std::string to_json(const Pod& pod);
std::string to_json(const Node& node);
std::string to_json(const EndpointSlice& slice);

// A list body: {"kind": "PodList", ...}. `items` are JSON texts; `kind` is that of one item
// ("Pod").
std::string list_json(std::string_view kind, const std::vector<std::string>& items,
                      std::string_view resource_version, std::string_view continue_token = {});
// A watch event and a newline: `type` is "ADDED", "MODIFIED", ..., `object` a JSON text.
std::string event_json(std::string_view type, std::string_view object);
// The object of a bookmark event.
std::string bookmark_json(std::string_view kind, std::string_view resource_version);
// metav1.Status with status Failure; retry_after_seconds 0: no details.
std::string status_json(int code, std::string_view reason, std::string_view message,
                        int retry_after_seconds = 0);

}  // namespace k8s::test
