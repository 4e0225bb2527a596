// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a request to the socket of questions: its first line as the target, the rest as the body
// of a drain, of the end of one, and as the file of drains. Never a crash; a refusal is one line without
// control characters; and what is accepted keeps its promises.
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/answers/drains.hpp"
#include "agent/answers/history_view.hpp"
#include "agent/answers/query.hpp"
#include "test/fuzz/require.hpp"

namespace {

constexpr k8s::UnixSeconds kNow = 1'795'000'000;
constexpr std::size_t kLongest = 1024;
constexpr int kLeastStatus = 400, kMostStatus = 499;

using fuzz::is_one_line;
using fuzz::require;

template <typename Ask>
void ask(const Ask& question) {
  try {
    question();
  } catch (const agent::QuestionFault& fault) {
    require(fault.status >= kLeastStatus && fault.status <= kMostStatus);
    require(!fault.what.empty() && is_one_line(fault.what));
  }
}

void ask_target(std::string_view target) {
  ask([&] {
    const auto parameters =
        agent::parameters_of(target, {"namespace", "name", "selector", "service", "since", "at"});
    for (const auto& [name, value] : parameters) require(value.size() <= kLongest);
    ask([&] {
      const agent::ServiceQuery query = agent::service_query(parameters);
      (void)query.matches({});
    });
    ask([&] {
      const agent::HistoryQuery query = agent::history_query(parameters, kNow);
      require(query.since <= kNow * 1000);
      if (query.at) (void)agent::time_text(*query.at);  // as the answer shows it
    });
  });
}

// What is written is read back.
void check_file(const agent::HandDrains& drains) {
  agent::HandDrains again;
  agent::take_drains(boost::json::serialize(agent::drains_json(drains)), kNow, again);
  require(again.all() == drains.all());
}

void ask_body(std::string_view body) {
  ask([&] {
    const agent::HandDrain drain = agent::drain_request(body, kNow);
    require(!drain.until || *drain.until > kNow);
    agent::HandDrains drains;
    drains.set(drain);
    check_file(drains);
  });
  ask([&] { (void)agent::undrain_request(body); });
  agent::HandDrains drains;
  agent::take_drains(body, kNow, drains);
  check_file(drains);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // reinterpret_cast: libFuzzer's bytes are our characters.
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t end = all.find('\n');
  ask_target(all.substr(0, end));
  ask_body(end == std::string_view::npos ? all : all.substr(end + 1));
  return 0;
}
