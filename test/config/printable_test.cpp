// SPDX-License-Identifier: Apache-2.0
#include "config/printable.hpp"

#include <catch2/catch_test_macros.hpp>

using config::printable;

TEST_CASE("text that is harmless is shown as it is", "[printable]") {
  for (const char* text :
       {"", "services is forbidden: User \"x\" cannot list \\ 100%",
        "Gr\xc3\xbc\xc3\x9f"
        "e \xe2\x82\xac",
        "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"}) {
    CHECK(printable(text, 200) == text);
  }
}

TEST_CASE("what would break a line, colour a terminal or reorder text is escaped (H11)",
          "[printable]") {
  CHECK(printable("a\nE1122 forged\r\tb", 200) == R"(a\nE1122 forged\r\tb)");
  CHECK(printable("\x1b[31mred\x07\x7f", 200) == R"(\x1b[31mred\x07\x7f)");
  CHECK(printable(std::string_view("a\0b", 3), 200) == R"(a\x00b)");
  // C1 controls: U+0085 is a line break, U+009B begins an escape sequence.
  CHECK(printable("a\xc2\x85\xc2\x9b"
                  "31m",
                  200) == R"(a\xc2\x85\xc2\x9b31m)");
  // Bidirectional controls, line separator, zero width space, byte order mark, a tag.
  CHECK(printable("\xe2\x80\xae\xe2\x81\xa6", 200) == R"(\xe2\x80\xae\xe2\x81\xa6)");
  CHECK(printable("\xe2\x80\xa8\xe2\x80\x8b\xef\xbb\xbf", 200) ==
        R"(\xe2\x80\xa8\xe2\x80\x8b\xef\xbb\xbf)");
  CHECK(printable("\xf3\xa0\x81\x81", 200) == R"(\xf3\xa0\x81\x81)");
  // Not UTF-8: a lone byte, an overlong form, a surrogate, a character that is cut off.
  CHECK(printable("\xff\xc0\x8a\xed\xa0\x80\xe2\x82", 200) ==
        R"(\xff\xc0\x8a\xed\xa0\x80\xe2\x82)");
}

TEST_CASE("text of others is shown up to a limit, and not cut within a character (H11)",
          "[printable]") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdefg", 6) == "abcdef... (7 bytes)");
  CHECK(printable("abcde\xe2\x82\xac", 6) == "abcde... (8 bytes)");
  CHECK(printable("abcd\n\n", 6) == R"(abcd\n... (6 bytes))");
  CHECK(printable("abcde\n", 6) == "abcde... (6 bytes)");
  const std::string line = printable(std::string(100'000, '\x1b'), 1000);
  CHECK(line.size() < 1030);
}
