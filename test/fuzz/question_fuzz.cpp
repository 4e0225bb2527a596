// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the arguments of a question, a line each: never a crash, and what is refused is said
// in one line without control characters. The same bytes as the JSON of an answer: what is shown of
// it has none either.
#include <array>
#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/answers/question.hpp"
#include "agent/ask/explanation_text.hpp"
#include "config/printable.hpp"

namespace {

// Every character can be shown as it is; `ends`: and lines end.
bool is_shown(std::string_view text, bool ends) {
  while (!text.empty()) {
    const std::size_t length = ends && text.front() == '\n' ? 1 : config::printable_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // reinterpret_cast: libFuzzer's bytes are our characters.
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  std::array<std::string_view, 4> lines{};
  std::string_view rest = all;
  for (std::string_view& line : lines) {
    const std::size_t end = rest.find('\n');
    line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  const auto question = agent::parse_question(
      {.to = lines[0], .from = lines[1], .protocol = lines[2], .ns = lines[3]});
  if (!question && !is_shown(question.error().what, false)) std::abort();

  boost::system::error_code error;
  const boost::json::value answer = boost::json::parse(all, error);
  if (error || !answer.is_object()) return 0;
  if (!is_shown(agent::explanation_text(answer.get_object()), true)) std::abort();
  if (!is_shown(agent::next_commands_text(answer.get_object()), true)) std::abort();
  return 0;
}
