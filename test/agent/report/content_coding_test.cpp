// SPDX-License-Identifier: Apache-2.0
#include "agent/report/content_coding.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "test/agent/report/gunzip.hpp"

namespace {

using agent::GzipEncoder;
using agent::prefers_gzip;
using agent::test::gunzip;

std::string encoded(std::string_view text, std::size_t part) {
  GzipEncoder encoder;
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += part)
    all += encoder.encode(text.substr(at, part));
  all += encoder.finish();
  return all;
}

}  // namespace

TEST_CASE("gzip is sent to clients that prefer it, by the weights of Accept-Encoding") {
  for (const char* field :
       {"gzip", "x-gzip", "GZIP", "gzip, deflate, br", "deflate;q=0.5, gzip;q=1.0", "*",
        "identity, gzip", "gzip;q=0.001", "br;q=1.0, gzip ; q=0.8, *;q=0.1", "gzip;q=1.000",
        "identity;q=0, gzip;q=0.5", ",, gzip ,", "zstd;q=0.9;level=3,gzip;level=9;q=0.2"}) {
    INFO(field);
    CHECK(prefers_gzip(field));
  }
  for (const char* field :
       {"", "identity", "deflate", "gzip;q=0", "gzip;q=0.000", "*, gzip;q=0", "*;q=0",
        "identity;q=1, gzip;q=0.5", "gzip;q=2", "gzip;q=-1", "gzip;q=", "gzip;q=nan", "gzipped",
        "gzip;q=0.1234", ";q=1", "=,;", "gzip;q=1.001"}) {
    INFO(field);
    CHECK_FALSE(prefers_gzip(field));
  }
}

TEST_CASE("what is compressed in parts of any size is what was given") {
  std::string text;
  for (int n = 0; n < 20000; ++n) text += "series{service=\"web-" + std::to_string(n) + "\"} 0\n";
  for (const std::size_t part : {std::size_t{1000}, std::size_t{8192}, text.size()}) {
    const std::string small = encoded(text, part);
    CHECK(gunzip(small) == text);
    CHECK(small.size() * 4 < text.size());
  }
  CHECK(gunzip(encoded("", 1)).empty());
  CHECK(gunzip(encoded("x", 1)) == "x");
}

TEST_CASE("bytes that cannot be compressed are kept, too") {
  std::string noise;
  std::uint32_t state = 7;
  for (int n = 0; n < 100000; ++n) {
    state = state * 1664525 + 1013904223;
    noise += static_cast<char>(state >> 24);
  }
  CHECK(gunzip(encoded(noise, 8192)) == noise);
}
