// SPDX-License-Identifier: Apache-2.0
//
// Tables for people: columns of equal width, two blanks between them. Pure.
//
// Text of others in a cell is made printable (config/printable.hpp): an object's name or message
// cannot move the cursor, or begin a line of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace agent {

enum class Colour : std::uint8_t { kNone, kGood, kAttention, kBad, kFaint };

// `text` as a terminal shows it in that colour; as it is if `colours` is false.
std::string coloured(const std::string& text, Colour colour, bool colours);

// Columns that a terminal needs for it: characters.
std::size_t width_of(const std::string& text);

struct Cell {
  std::string text{};
  Colour colour = Colour::kNone;
  Cell(std::string text_in = {}, Colour colour_in = Colour::kNone)  // NOLINT: converting
      : text(std::move(text_in)), colour(colour_in) {}
  Cell(const char* text_in) : text(text_in) {}  // NOLINT: converting
};

using Row = std::vector<Cell>;

// One line for each row, the head, if there is one, first; the last column is not padded.
std::string table(const std::vector<std::string>& head, const std::vector<Row>& rows, bool colours);

}  // namespace agent
