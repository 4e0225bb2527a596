// SPDX-License-Identifier: Apache-2.0
//
// From the JSON an API server would send to the protobuf it would send instead, by the message
// definitions in its own generated.proto files. Fields that the definitions here leave out are
// dropped; a value of another type than its field's is encoded as it is, so that faults survive.
#pragma once

#include <string>
#include <string_view>

namespace k8s::test {

// An object, a list or a Status, in its envelope ("k8s\0" and runtime.Unknown).
std::string to_proto(std::string_view json);
// The events of a watch, JSON documents with newlines between, each with its length before it.
std::string events_to_proto(std::string_view lines);
// One event around an object in its envelope.
std::string event_proto(std::string_view type, std::string_view envelope);

}  // namespace k8s::test
