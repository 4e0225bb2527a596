// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/gzip_stream.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <string_view>

#include "test/fake/http_text.hpp"

namespace {

using k8s::GzipStream;

// A text that compresses like a real one: words of a small vocabulary, by a fixed rule.
std::string text_of(std::size_t size) {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += "{\"name\":\"pod-" + std::to_string(state >> 20) + "\"},";
  }
  text.resize(size);
  return text;
}

struct Inflated {
  GzipStream::Fed fed = GzipStream::Fed::kGood;
  std::string text;
  std::size_t longest = 0;
  bool finished = false;
  std::string fault;
};

Inflated inflate(std::string_view data, std::size_t piece) {
  Inflated result;
  GzipStream stream;
  const auto take = [&](std::string_view bytes) {
    result.text += bytes;
    result.longest = std::max(result.longest, bytes.size());
    return true;
  };
  while (!data.empty() && result.fed == GzipStream::Fed::kGood) {
    result.fed = stream.feed(data.substr(0, piece), take);
    data.remove_prefix(std::min(piece, data.size()));
  }
  result.finished = stream.finished();
  result.fault = stream.fault();
  return result;
}

}  // namespace

TEST_CASE("gzip data is decompressed to the same text however it is split", "[gzip]") {
  const std::string text = text_of(GENERATE(0u, 1u, 5'000u, 300'000u));
  const std::string data = fake::gzip(text);
  const std::size_t piece = GENERATE(1u, 2u, 7u, 1000u, 1u << 20);
  const Inflated inflated = inflate(data, piece);
  CHECK(inflated.text == text);
  CHECK(inflated.finished);
  CHECK(inflated.fault.empty());
}

TEST_CASE("all text is delivered before the end of the gzip data has arrived", "[gzip]") {
  const std::string text = text_of(5'000);
  const std::string data = fake::gzip(text);
  const std::size_t checksum_and_length = 8;
  const std::string_view most = std::string_view(data).substr(0, data.size() - checksum_and_length);
  const Inflated inflated = inflate(most, 100);
  CHECK(inflated.text == text);
  CHECK_FALSE(inflated.finished);
  CHECK(inflated.fault.empty());
}

TEST_CASE("decompressed text is delivered in pieces of at most 64 KiB", "[gzip]") {
  const std::string text(10'000'000, 'a');
  const Inflated inflated = inflate(fake::gzip(text), 1u << 20);
  CHECK(inflated.text.size() == text.size());
  CHECK(inflated.longest == GzipStream::kMaxPiece);
}

TEST_CASE("with any one bit of the gzip data flipped, there is a fault or the text is right",
          "[gzip]") {
  const std::string text = text_of(200);
  const std::string good = fake::gzip(text);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    CAPTURE(bit);
    std::string data = good;
    data[bit / 8] = static_cast<char>(data[bit / 8] ^ (1 << bit % 8));
    const Inflated inflated = inflate(data, 16);
    const bool right = inflated.finished && inflated.fault.empty();
    // Not checked by gzip: time, flags and system in the header, and the bits that pad the last
    // byte before the checksum.
    if (right) CHECK(inflated.text == text);
    const std::size_t behind = data.size() - bit / 8;
    if (behind <= 8 || (bit / 8 >= 10 && behind > 9)) CHECK_FALSE(right);
  }
}

TEST_CASE("truncated gzip data is never finished", "[gzip]") {
  const std::string data = fake::gzip(text_of(200));
  for (std::size_t size = 0; size < data.size(); ++size) {
    CAPTURE(size);
    const Inflated inflated = inflate(std::string_view(data).substr(0, size), 1000);
    CHECK_FALSE(inflated.finished);
    CHECK(inflated.fault.empty());
  }
}

TEST_CASE("the fault says what is wrong with gzip data", "[gzip]") {
  const std::size_t piece = GENERATE(1u, 1000u);
  std::string data = fake::gzip(text_of(200));
  std::string expected;
  SECTION("no gzip data at all") {
    data = R"({"kind":"PodList"})";
    expected = "the gzip data is corrupt: incorrect header check";
  }
  SECTION("the zlib format instead of gzip") {
    data = "\x78\x01\x03";
    expected = "the gzip data is corrupt: incorrect header check";
  }
  SECTION("a wrong checksum") {
    data[data.size() - 8] = static_cast<char>(data[data.size() - 8] ^ 1);
    expected = "the gzip data is corrupt: incorrect data check";
  }
  SECTION("a wrong length") {
    data[data.size() - 1] = 1;
    expected = "the gzip data is corrupt: incorrect length check";
  }
  SECTION("bytes after the end") {
    data += "x";
    expected = "there are bytes after the end of the gzip data";
  }
  SECTION("a second member") {
    data += fake::gzip("more");
    expected = "there are bytes after the end of the gzip data";
  }
  const Inflated inflated = inflate(data, piece);
  CHECK(inflated.fed == GzipStream::Fed::kFault);
  CHECK(inflated.fault == expected);
}

TEST_CASE("a callback that returns false gets no more text", "[gzip]") {
  GzipStream stream;
  int calls = 0;
  const auto fed = stream.feed(fake::gzip(std::string(1'000'000, 'a')), [&](std::string_view) {
    ++calls;
    return false;
  });
  CHECK(fed == GzipStream::Fed::kStopped);
  CHECK(calls == 1);
}
