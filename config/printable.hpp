// SPDX-License-Identifier: Apache-2.0
//
// Makes text of others (a server's message, a plugin's output, an object's name) fit for one line
// of a log, an Event or a terminal. Pure.
//
// A reader of a log must see where a line ends and which program wrote it. So these bytes are
// escaped: control characters (C0, DEL, C1), what changes the direction of text or takes no space
// (bidirectional controls, zero width characters, tags), line and paragraph separators, and what
// is not UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace config {

// The length in bytes (1-4) of the character at the start of `text` if it can be shown as it is;
// 0 if it must be escaped or there is none.
std::size_t printable_length(std::string_view text);

// `text` with \n, \r, \t and \xNN (for each byte) in place of what must be escaped. At most about
// `limit` bytes: the rest is replaced by "... (N bytes)", N being the size of `text`.
std::string printable(std::string_view text, std::size_t limit);
// The same in double quotes, of at most 128 bytes: for an argument in a message.
std::string printable_quoted(std::string_view text);

}  // namespace config
