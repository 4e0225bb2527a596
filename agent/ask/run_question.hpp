// SPDX-License-Identifier: Apache-2.0
//
// The commands that ask the agent of this node (config/commands.hpp), as `main` calls them.
#pragma once

namespace agent {

// Whether the program's first argument is one of them.
bool is_question(int argc, const char* const* argv);
// Asks, and prints the answer. Exit codes: 0, answered; 1, the answer is bad news (`status` is not ok,
// there is no such Service); 2, no answer: wrong arguments, no agent, no right.
int run_question(int argc, const char* const* argv);

}  // namespace agent
