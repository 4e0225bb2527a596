// SPDX-License-Identifier: Apache-2.0
#include "agent/report/accept.hpp"

#include <catch2/catch_test_macros.hpp>

using agent::accepts_plain_text;

TEST_CASE("plain text is accepted by its name, by a wildcard, and without a wish (18.2)") {
  for (const char* accept :
       {"", "  ", "*/*", "text/*", "text/plain", "text/plain;charset=UTF-8",
        "text/plain; charset=utf-8; q=0.5", "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/json, text/plain", " text/plain ;", ",text/plain"}) {
    INFO(accept);
    CHECK(accepts_plain_text(accept));
  }
}

TEST_CASE("another type, another charset and other parameters are not plain text (18.2)") {
  for (const char* accept : {"application/json", "text/html", "text", "/", ";", ",", "textplain",
                             "text/plain;charset=latin1", "text/plain;v=1",
                             "application/json;v=v1beta1;g=config.k8s.io;as=Flagz"}) {
    INFO(accept);
    CHECK_FALSE(accepts_plain_text(accept));
  }
}
