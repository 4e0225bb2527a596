// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/media_type.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace k8s;

TEST_CASE("a media type is recognised in any case and with white space around it") {
  for (const char* protobuf :
       {"application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf;stream=watch",
        "application/vnd.kubernetes.protobuf ; stream=watch",
        " \tApplication/VND.Kubernetes.Protobuf\t"}) {
    INFO(protobuf);
    CHECK(media_type(protobuf) == MediaType::kProtobuf);
  }
  for (const char* other :
       {"", " ", ";", "application/json", "application/vnd.kubernetes.protobufs",
        "application/vnd. kubernetes.protobuf"}) {
    INFO(other);
    CHECK(media_type(other) == MediaType::kJson);
  }
}
