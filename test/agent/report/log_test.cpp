// SPDX-License-Identifier: Apache-2.0
#include "agent/report/log.hpp"

#include <spdlog/details/log_msg.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

std::string line_of(config::LogFormat format, const std::string& text) {
  const auto formatter = agent::log_formatter(format);
  spdlog::memory_buf_t out;
  formatter->format(
      spdlog::details::log_msg(spdlog::source_loc(), "kube-ipvs", spdlog::level::warn, text), out);
  return {out.data(), out.size()};
}

}  // namespace

TEST_CASE("a record is one line, whatever text of others is in it (H11)", "[log]") {
  const std::string foreign = "Pod list: 500 a\nE1122 forged\x1b[31m\xc2\x85\xe2\x80\xae\xff";
  const std::string shown = R"(Pod list: 500 a\nE1122 forged\x1b[31m\xc2\x85\xe2\x80\xae\xff)";
  const std::string text = line_of(config::LogFormat::kText, foreign);
  CHECK(text.starts_with("W"));
  CHECK(text.ends_with(" " + shown + "\n"));
  CHECK(text.find('\n') == text.size() - 1);
  const std::string json = line_of(config::LogFormat::kJson, foreign);
  CHECK(json.find('\n') == json.size() - 1);
  CHECK(boost::json::parse(json).at("msg").as_string() == shown);
}

TEST_CASE("a record has a limit, and text that is harmless stays as it is (H11)", "[log]") {
  const std::string text = line_of(config::LogFormat::kText, std::string(1 << 20, 'x'));
  CHECK(text.size() < 17'000);
  CHECK(text.ends_with("... (1048576 bytes)\n"));
  CHECK(line_of(config::LogFormat::kText,
                "Gr\xc3\xbc\xc3\x9f"
                "e \\ \"1\"")
            .ends_with(" Gr\xc3\xbc\xc3\x9f"
                       "e \\ \"1\"\n"));
}
