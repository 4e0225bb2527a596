// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/observation_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "agent/ask/fields.hpp"
#include "agent/ask/screens.hpp"
#include "config/printable.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongest = 512;

std::string printable(const std::string& text) { return config::printable(text, kLongest); }

// "1,234"
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  constexpr std::size_t kGroup = 3;
  for (std::size_t at = digits.size(); at > kGroup;) digits.insert(at -= kGroup, ",");
  return digits;
}

// The time of day of "2026-11-30T03:10:00.123Z".
std::string time_of_day(const std::string& time) {
  const std::size_t date = time.find('T');
  if (date == std::string::npos) return time;
  return time.substr(date + 1, time.find('Z') - date - 1);
}

std::string named(const std::string& address, const std::string& name) {
  return name.empty() ? address : address + " " + name;
}

std::string lasted(const json::value& line) {
  if (!field(line, "seconds")) return {};
  const double seconds = number_of(line, "seconds");
  constexpr double kMinute = 60;
  return seconds < kMinute ? fmt::format("{:.3f}s", seconds) : age_text(seconds);
}

}  // namespace

std::string ObservationText::row(const Row& cells) {
  widths_.resize(std::max(widths_.size(), cells.size()), 0);
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string text = printable(cells[i].text);
    if (text.empty()) text = "-";
    widths_[i] = std::max(widths_[i], width_of(text));
    out += coloured(text, cells[i].colour, colours_);
    if (i + 1 < cells.size()) out += std::string(widths_[i] - width_of(text) + 2, ' ');
  }
  return out + "\n";
}

std::string ObservationText::start(const json::value& line) {
  std::string text = printable(text_of(line, "service")) + " at";
  std::set<std::string> entrances;
  for (const json::value& each : list_of(line, "entrances")) {
    const std::string address = text_of(each, "address");
    // A node port is at each of the node's addresses.
    const std::string entrance = text_of(each, "field") == "node port"
                                     ? "node port " + address.substr(address.rfind(':') + 1)
                                     : address + " (" + text_of(each, "field") + ")";
    const std::string shown = printable(text_of(each, "protocol") + " " + entrance);
    if (entrances.insert(shown).second) text += (entrances.size() == 1 ? " " : ", ") + shown;
  }
  text += fmt::format(", for {}, at most about {} lines a second\n",
                      age_text(number_of(line, "seconds")), grouped(count_of(line, "rate")));
  for (const json::value& note : list_of(line, "notes")) {
    if (note.is_string()) text += printable(std::string(note.as_string())) + "\n";
  }
  // Room for what is usual, so that the columns seldom move.
  widths_ = {12, 5, 36, 36, 20, 8, 8};
  return text + row({"TIME", "EVENT", "CLIENT", "ENDPOINT", "ENTRANCE", "IN", "OUT", "LASTED"});
}

std::string ObservationText::connection(const json::value& line) {
  const bool is_end = text_of(line, "type") == "ended";
  const std::string how = text_of(line, "how");
  const auto bytes = [&](std::string_view name) {
    return field(line, name) ? grouped(count_of(line, name)) : std::string();
  };
  Row cells{time_of_day(text_of(line, "time")),
            {how == "reset" ? "reset"
             : is_end       ? "ended"
                            : "new",
             how == "reset" ? Colour::kAttention
             : is_end       ? Colour::kFaint
                            : Colour::kGood},
            named(text_of(line, "client"), text_of(line, "clientName")),
            named(text_of(line, "endpoint"), text_of(line, "endpointPod")),
            text_of(line, "protocol") + " " + text_of(line, "entrance")};
  if (is_end) {
    cells.insert(cells.end(), {bytes("bytesIn"), bytes("bytesOut"), lasted(line)});
  }
  return row(cells);
}

std::string ObservationText::next(const json::value& line) {
  const std::string type = text_of(line, "type");
  if (type == "start") return start(line);
  if (type == "new" || type == "ended") return connection(line);
  if (type == "rate") {
    return coloured(fmt::format("{} new and {} ended per second; 1 of {} shown",
                                grouped(count_of(line, "new")), grouped(count_of(line, "ended")),
                                grouped(count_of(line, "oneOf"))),
                    Colour::kAttention, colours_) +
           "\n";
  }
  if (type == "lost") {
    return coloured("events were lost: more came than were read, and some connections are missing",
                    Colour::kBad, colours_) +
           "\n";
  }
  if (type == "end") return "ended: " + printable(text_of(line, "why")) + "\n";
  return {};  // of an agent of another version
}

}  // namespace agent
