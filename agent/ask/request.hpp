// SPDX-License-Identifier: Apache-2.0
//
// One request to the agent's socket for questions (agent/answers/door.hpp), and its answer, as a whole
// or line by line as it comes.
//
// Blocks; for commands, not for the agent.
// Errors: NoAnswer, with one line for people: no agent runs, no right, or the socket does not answer
// within 30 s (between two lines it may take any time).
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

namespace agent {

struct Reply {
  int status = 0;
  std::string body{};
};

class NoAnswer : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Asker {
 public:
  explicit Asker(std::string socket) : socket_(std::move(socket)) {}
  Reply get(const std::string& target) const { return ask("GET", target, {}); }
  Reply put(const std::string& target, const std::string& body) const {
    return ask("PUT", target, body);
  }
  // Calls `on_line`, without the line's end, as long as the answer has status 200 and goes on. Any other
  // answer is returned as a whole.
  Reply get_lines(const std::string& target,
                  const std::function<void(const std::string& line)>& on_line) const;

 private:
  Reply ask(const std::string& method, const std::string& target, const std::string& body) const;

  std::string socket_;
};

}  // namespace agent
