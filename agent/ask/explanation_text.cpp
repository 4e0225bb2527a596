// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/explanation_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string_view>

#include "config/printable.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongest = 400;  // bytes of one member

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value) return {};
  if (const auto* text = value->if_string())
    return config::printable(std::string_view(*text), kLongest);
  if (const auto* number = value->if_uint64()) return std::to_string(*number);
  if (const auto* number = value->if_int64()) return std::to_string(*number);
  return {};
}

bool has_number(const json::object& object, std::string_view key) {
  const std::string text = text_at(object, key);
  return !text.empty() && text != "0";
}

// Calls visit(const json::object&) for each object of the array.
template <typename Visit>
void for_each(const json::object& object, std::string_view key, Visit visit) {
  const json::value* value = object.if_contains(key);
  const json::array* array = value ? value->if_array() : nullptr;
  if (!array) return;
  for (const json::value& each : *array) {
    if (const auto* one = each.if_object()) visit(*one);
  }
}

std::string texts_at(const json::object& object, std::string_view key, std::string_view between) {
  const json::value* value = object.if_contains(key);
  const json::array* array = value ? value->if_array() : nullptr;
  std::string all;
  if (!array) return all;
  for (const json::value& each : *array) {
    const auto* text = each.if_string();
    if (!text) continue;
    if (!all.empty()) all += between;
    all += config::printable(std::string_view(*text), kLongest);
  }
  return all;
}

void add_line(std::string& to, int indent, const std::string& line) {
  to.append(static_cast<std::size_t>(indent), ' ');
  to += line + "\n";
}

char mark_of(const std::string& matched) {
  if (matched == "yes") return '+';
  return matched == "depends" ? '?' : '-';
}

std::string head_of(const json::object& way) {
  std::string head = text_at(way, "protocol") + " " + text_at(way, "to");
  const std::string entrance = text_at(way, "entrance");
  const std::string service = text_at(way, "service");
  if (!entrance.empty()) head += ", " + entrance;
  if (!service.empty()) head += (entrance.empty() ? ", " : " of ") + service;
  const std::string port = text_at(way, "port");
  if (!port.empty()) head += ", port " + port;
  return head;
}

// What does not hold is one line.
void add_step(std::string& to, const json::object& step) {
  const std::string matched = text_at(step, "matched");
  add_line(to, 2,
           std::string(1, mark_of(matched)) + " " + text_at(step, "place") + ": " +
               text_at(step, "explanation"));
  const std::string rule = text_at(step, "rule");
  if (matched == "no" || rule.empty()) return;
  add_line(to, 6, "chain " + text_at(step, "chain") + ": " + rule);
  const std::string set = text_at(step, "set");
  if (set.empty()) return;
  const std::string service = text_at(step, "service");
  add_line(to, 6,
           "@" + set + " { " + text_at(step, "element") + " }" +
               (service.empty() ? "" : ", wanted by " + service));
}

void add_endpoint(std::string& to, const json::object& endpoint) {
  std::string line = "-> " + text_at(endpoint, "endpoint") + " weight " +
                     text_at(endpoint, "weight") + ", " + text_at(endpoint, "state");
  const std::string pod = text_at(endpoint, "pod");
  if (!pod.empty()) line += ", Pod " + pod;
  line += text_at(endpoint, "node") == "this" ? ", on this node" : ", on another node";
  line += ", sees " + text_at(endpoint, "source_seen");
  add_line(to, 6, line);
}

void add_server(std::string& to, const json::object& way) {
  const std::string server = text_at(way, "server");
  if (server.empty()) return;
  std::string line = server + " " + text_at(way, "scheduler");
  const std::string flags = texts_at(way, "flags", " ");
  if (!flags.empty()) line += " " + flags;
  if (has_number(way, "persistence_seconds"))
    line += " " + text_at(way, "persistence_seconds") + " s";
  add_line(to, 4, line);
  for_each(way, "endpoints", [&](const json::object& each) { add_endpoint(to, each); });
  if (has_number(way, "endpoints_omitted"))
    add_line(to, 6, "and " + text_at(way, "endpoints_omitted") + " more");
}

void add_way(std::string& to, const json::object& way) {
  add_line(to, 0, head_of(way));
  const std::string from = text_at(way, "from");
  const std::string client = text_at(way, "client");
  add_line(to, 2, "from " + (from.empty() ? "" : from + ", ") + client);
  for_each(way, "steps", [&](const json::object& each) { add_step(to, each); });
  const std::string verdict = text_at(way, "verdict");
  add_line(to, 2, "= " + verdict + ": " + text_at(way, "reason"));
  add_server(to, way);
  if (verdict == "delivered") {
    add_line(to, 4,
             "masqueraded: " + text_at(way, "is_masqueraded") + "; the endpoint sees " +
                 text_at(way, "source_seen"));
  }
  const std::string depends = texts_at(way, "depends", "; ");
  if (!depends.empty()) add_line(to, 2, "? otherwise: " + depends);
}

void add_notes(std::string& to, const json::object& answer) {
  const std::string notes = texts_at(answer, "notes", "\n");
  if (!notes.empty()) to += notes + "\n";
}

void add_omitted(std::string& to, const json::object& answer) {
  if (has_number(answer, "omitted"))
    add_line(to, 0, text_at(answer, "omitted") + " more are left out: name a port or an address");
}

}  // namespace

std::string explanation_text(const json::object& explanation) {
  std::string text;
  add_notes(text, explanation);
  for_each(explanation, "ways", [&](const json::object& way) {
    if (!text.empty()) text += "\n";
    add_way(text, way);
  });
  add_omitted(text, explanation);
  return text;
}

std::string next_commands_text(const json::object& next) {
  std::string text;
  add_notes(text, next);
  for_each(next, "entrances", [&](const json::object& entrance) {
    if (!text.empty()) text += "\n";
    add_line(text, 0, "# " + head_of(entrance));
    for_each(entrance, "commands", [&](const json::object& command) {
      add_line(text, 0, "# " + text_at(command, "shows"));
      add_line(text, 0, text_at(command, "line"));
    });
  });
  add_omitted(text, next);
  return text;
}

}  // namespace agent
