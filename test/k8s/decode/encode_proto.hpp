// SPDX-License-Identifier: Apache-2.0
//
// Converts the JSON that an API server would send to the protobuf that it would send instead, by
// the message definitions of its generated.proto files. Fields that encode_proto.cpp does not list
// are dropped. A value of the wrong type is encoded with its own type, so that it is still a fault.
#pragma once

#include <string>
#include <string_view>

namespace k8s::test {

// An object, a list or a Status, in its envelope ("k8s\0" and runtime.Unknown).
std::string to_proto(std::string_view json);
// The events of a watch, each after its length. `lines` has one JSON document per line.
std::string events_to_proto(std::string_view lines);
// One event, after its length, with an object in its envelope.
std::string event_proto(std::string_view type, std::string_view envelope);

}  // namespace k8s::test
