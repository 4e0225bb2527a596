// SPDX-License-Identifier: Apache-2.0
#include "test/fake/api_store.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

namespace fake {
namespace {

namespace json = boost::json;

json::value parse(std::string_view text) { return json::parse({text.data(), text.size()}); }

std::string text_at(const json::value& object, std::string_view path) {
  const json::value* at = &object;
  while (!path.empty() && at && at->is_object()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    at = at->get_object().if_contains({path.data(), dot});
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at && at->is_string() ? std::string(at->get_string()) : std::string();
}

std::string with_version(json::value object, std::uint64_t version) {
  object.as_object()["metadata"].as_object()["resourceVersion"] = std::to_string(version);
  return json::serialize(object);
}

std::string key_of(const json::value& object) {
  const std::string ns = text_at(object, "metadata.namespace");
  const std::string name = text_at(object, "metadata.name");
  return ns.empty() ? name : ns + "/" + name;
}

// One requirement, "key", "!key", "key=value" or "key!=value"; `read` gives the value or nullopt.
template <typename Read>
bool holds(std::string_view requirement, const Read& read) {
  const std::size_t equals = requirement.find('=');
  if (equals == std::string_view::npos) {
    const bool wanted = !requirement.starts_with('!');
    return read(requirement.substr(wanted ? 0 : 1)).has_value() == wanted;
  }
  const bool negated = equals > 0 && requirement[equals - 1] == '!';
  const auto value = read(requirement.substr(0, equals - (negated ? 1 : 0)));
  return (value && *value == requirement.substr(equals + 1)) != negated;
}

template <typename Read>
bool all_hold(std::string_view selector, const Read& read) {
  while (!selector.empty()) {
    const std::size_t comma = std::min(selector.find(','), selector.size());
    if (!holds(selector.substr(0, comma), read)) return false;
    selector.remove_prefix(std::min(comma + 1, selector.size()));
  }
  return true;
}

std::string value_of(const Query& query, const std::string& key) {
  const auto found = query.find(key);
  return found == query.end() ? std::string() : found->second;
}

bool matches(const Query& query, std::string_view text) {
  const std::string labels = value_of(query, "labelSelector");
  const std::string fields = value_of(query, "fieldSelector");
  if (text.empty()) return false;
  if (labels.empty() && fields.empty()) return true;
  const json::value object = parse(text);
  const auto label = [&](std::string_view key) -> std::optional<std::string> {
    const json::value* map = object.at("metadata").get_object().if_contains("labels");
    const json::value* value =
        map && map->is_object() ? map->get_object().if_contains({key.data(), key.size()}) : nullptr;
    if (!value) return std::nullopt;
    return std::string(value->as_string());
  };
  const auto field = [&](std::string_view path) -> std::optional<std::string> {
    return text_at(object, path);
  };
  return all_hold(labels, label) && all_hold(fields, field);
}

std::string event_line(std::string_view type, std::string_view object) {
  return "{\"type\":\"" + std::string(type) + "\",\"object\":" + std::string(object) + "}\n";
}

}  // namespace

std::string status_body(unsigned code, std::string_view reason, std::string_view message) {
  return json::serialize(json::object{{"kind", "Status"},
                                      {"apiVersion", "v1"},
                                      {"metadata", json::object{}},
                                      {"status", "Failure"},
                                      {"message", json::string(message.data(), message.size())},
                                      {"reason", json::string(reason.data(), reason.size())},
                                      {"code", code}});
}

ApiStore::Collection& ApiStore::collection(const std::string& path) { return collections_[path]; }

void ApiStore::serve(const std::string& path, const std::string& kind) {
  collection(path).kind = kind;
}

void ApiStore::put(const std::string& path, std::string_view text) {
  json::value object = parse(text);
  Collection& held = collection(path);
  if (held.kind.empty()) held.kind = text_at(object, "kind");
  const std::string key = key_of(object);
  std::string& place = held.objects[key];
  std::string after = with_version(std::move(object), ++version_);
  held.history.push_back({.version = version_, .before = place, .after = after, .last = after});
  place = std::move(after);
}

bool ApiStore::remove(const std::string& path, const std::string& key) {
  Collection& held = collection(path);
  const auto found = held.objects.find(key);
  if (found == held.objects.end()) return false;
  ++version_;
  held.history.push_back({.version = version_,
                          .before = found->second,
                          .after = {},
                          .last = with_version(parse(found->second), version_)});
  held.objects.erase(found);
  return true;
}

void ApiStore::compact() {
  snapshots_.clear();
  for (auto& [path, held] : collections_) held.history.clear();
  compacted_ = ++version_;
}

void ApiStore::restore(std::uint64_t version) {
  compact();
  version_ = version;
  compacted_ = 0;
}

std::optional<Answer> ApiStore::refuse_list(const Query& query) const {
  const std::string version = value_of(query, "resourceVersion");
  const bool at_least = value_of(query, "resourceVersionMatch") == "NotOlderThan";
  if (!value_of(query, "continue").empty() && !version.empty()) {
    return Answer{.status = 400, .body = status_body(400, "BadRequest", "version and continue")};
  }
  if (at_least && !version.empty() && std::stoull(version) > version_) {
    return Answer{.status = 504,
                  .body = status_body(504, "Timeout",
                                      "Timeout: Too large resource version: " + version +
                                          ", current: " + std::to_string(version_))};
  }
  return std::nullopt;
}

Answer ApiStore::list(const std::string& path, const Query& query, bool cached) {
  if (auto refusal = refuse_list(query)) return std::move(*refusal);
  const Collection& held = collection(path);
  const std::string token = value_of(query, "continue");
  std::string name = token.substr(0, token.find('@'));
  std::size_t start = 0;
  if (token.empty()) {
    name = "snapshot-" + std::to_string(next_snapshot_++);
    Snapshot& snapshot = snapshots_[name];
    snapshot.version = version_;
    for (const auto& [key, object] : held.objects) {
      if (matches(query, object)) snapshot.items.push_back(object);
    }
  } else {
    start = std::stoul(token.substr(token.find('@') + 1));
  }
  const auto found = snapshots_.find(name);
  if (found == snapshots_.end()) {
    return {.status = 410,
            .body = status_body(410, "Expired", "The provided continue parameter is too old")};
  }
  const Snapshot& snapshot = found->second;
  const bool from_cache = cached && value_of(query, "resourceVersion") == "0";
  const std::string limit = from_cache ? "0" : value_of(query, "limit");
  const std::size_t size =
      limit.empty() || limit == "0" ? snapshot.items.size() : std::stoul(limit);
  const std::size_t end = std::min(start + size, snapshot.items.size());
  std::string body = "{\"kind\":\"" + held.kind + "List\",\"apiVersion\":\"v1\",\"metadata\":{" +
                     "\"resourceVersion\":\"" + std::to_string(snapshot.version) + "\"";
  if (end < snapshot.items.size())
    body += ",\"continue\":\"" + name + "@" + std::to_string(end) + "\"";
  body += "},\"items\":[";
  for (std::size_t i = start; i < end; ++i) body += (i > start ? "," : "") + snapshot.items[i];
  return {.status = 200, .body = body + "]}\n"};
}

std::optional<std::string> ApiStore::events_after(const std::string& path, const Query& query,
                                                  std::uint64_t& version) const {
  if (version < compacted_) return std::nullopt;
  std::string lines;
  const auto found = collections_.find(path);
  if (found == collections_.end()) return lines;
  for (const Event& event : found->second.history) {
    if (event.version <= version) continue;
    const bool before = matches(query, event.before);
    const bool after = matches(query, event.after);
    if (after) lines += event_line(before ? "MODIFIED" : "ADDED", event.after);
    if (before && !after) lines += event_line("DELETED", event.last);
  }
  version = std::max(version, version_);
  return lines;
}

std::string ApiStore::initial_events(const std::string& path, const Query& query,
                                     std::uint64_t& version) const {
  version = version_;
  std::string lines;
  for (const auto& [key, object] : collections_.at(path).objects) {
    if (matches(query, object)) lines += event_line("ADDED", object);
  }
  return lines + event_line("BOOKMARK", "{\"kind\":\"" + collections_.at(path).kind +
                                            "\",\"apiVersion\":\"v1\",\"metadata\":{"
                                            "\"resourceVersion\":\"" +
                                            std::to_string(version_) +
                                            "\",\"creationTimestamp\":null,\"annotations\":{"
                                            "\"k8s.io/initial-events-end\":\"true\"}}}");
}

std::map<std::string, std::string> ApiStore::versions(const std::string& path) const {
  std::map<std::string, std::string> result;
  const auto found = collections_.find(path);
  if (found == collections_.end()) return result;
  for (const auto& [key, object] : found->second.objects) {
    result[key] = text_at(parse(object), "metadata.resourceVersion");
  }
  return result;
}

std::string ApiStore::bookmark(const std::string& path) const {
  return event_line("BOOKMARK",
                    "{\"kind\":\"" + collections_.at(path).kind +
                        "\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" +
                        std::to_string(version_) + "\",\"creationTimestamp\":null}}");
}

}  // namespace fake
