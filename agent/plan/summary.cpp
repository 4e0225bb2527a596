// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/summary.hpp"

#include <boost/json/array.hpp>
#include <cstdint>
#include <utility>
#include <vector>

#include "agent/ask/fields.hpp"
#include "agent/ask/screens.hpp"
#include "agent/ask/table.hpp"
#include "config/printable.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestLine = 1024;

std::string shown(const std::string& text) { return config::printable(text, kLongestLine); }

std::string count_text(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// "rr, persistent 10800 s, 2 endpoints"
std::string server_text(const json::value& server) {
  if (!field(server, "scheduler")) return "not served here";
  std::string text = text_of(server, "scheduler");
  if (const std::int64_t seconds = count_of(server, "persistenceSeconds"); seconds != 0) {
    text += ", persistent " + std::to_string(seconds) + " s";
  }
  return text + ", " + count_text(count_of(server, "wantedDestinations"), "endpoint");
}

std::string state_text(const json::value& endpoint) {
  std::string text = text_of(endpoint, "state");
  const std::int64_t weight = count_of(endpoint, "wantedWeight");
  if (weight > 1) text += ", weight " + std::to_string(weight);
  if (text_of(endpoint, "state") == "serving") return text;
  const std::string why = why_text(endpoint);
  return why.empty() ? text : text + ": " + why;
}

void add_rows(const json::value& service, std::vector<Row>& rows) {
  for (const json::value& port : list_of(service, "ports")) {
    for (const json::value& server : list_of(port, "servers")) {
      rows.push_back(
          {"  " + text_of(server, "field"), text_of(server, "server"), server_text(server)});
    }
  }
  for (const json::value& endpoint : list_of(service, "endpoints")) {
    const std::string pod = text_of(endpoint, "pod");
    rows.push_back({"  endpoint", text_of(endpoint, "endpoint"),
                    (pod.empty() ? "" : pod + " ") + state_text(endpoint)});
  }
}

}  // namespace

std::set<std::string> refused_lines(const json::value& conditions) {
  std::set<std::string> lines;
  for (const json::value& each : list_of(conditions, "objects")) {
    lines.insert(shown(text_of(each, "object") + ": " + text_of(each, "reason") + ": " +
                       text_of(each, "message")));
  }
  return lines;
}

std::string summary_text(const json::value& services, const std::set<std::string>& refused) {
  std::string out;
  for (const json::value& each : list_of(services, "items")) {
    out += shown(text_of(each, "namespace") + "/" + text_of(each, "name")) + "  " +
           text_of(each, "type") + (flag_of(each, "served") ? "" : ": not served") + "\n";
    std::vector<Row> rows;
    add_rows(each, rows);
    if (!rows.empty()) out += table({}, rows, false);
  }
  if (out.empty()) out = "there are no Services\n";
  for (const std::string& line : refused) out += "not as asked: " + line + "\n";
  return out;
}

}  // namespace agent
