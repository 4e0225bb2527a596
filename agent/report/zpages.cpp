// SPDX-License-Identifier: Apache-2.0
//
// Sources: kubernetes staging/src/k8s.io/component-base/configz, zpages/flagz and zpages/statusz;
// cmd/kube-proxy/app/server.go for the name of the document.
#include "agent/report/zpages.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <string_view>
#include <utility>

#include "config/file.hpp"
#include "config/options.hpp"
#include "config/setting.hpp"
#include "config/values.hpp"
#include "config/version.hpp"

namespace agent {
namespace {

namespace json = boost::json;

std::string header(const config::Config& config, std::string_view page) {
  return fmt::format(
      "\n{} {}\nWarning: This endpoint is not meant to be machine parseable, has no formatting "
      "compatibility guarantees and is for debugging purposes only.\n",
      config.as_kube_proxy ? "kube-proxy" : "kube-ipvs", page);
}

// "https://user:password@host" without what is before the host.
std::string without_secret(const std::string& value) {
  const std::size_t scheme = value.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(value.find_first_of("/?#", host), value.size());
  const std::size_t at = value.rfind('@', end);
  if (at == std::string::npos || at < host) return value;
  return value.substr(0, host) + value.substr(at + 1);
}

std::string value_of(const config::Option& option, const config::Config& config) {
  const std::string value = option.get(config);
  return option.flag == "master" ? without_secret(value) : value;
}

// As Go writes a duration: "15m0s", "1h30m0s", "30s", "100ms".
std::string go_duration(const std::string& text) {
  const auto parsed = config::parse_duration(text);
  if (!parsed) return text;
  const auto total = std::chrono::duration_cast<std::chrono::milliseconds>(*parsed).count();
  if (total == 0) return "0s";
  if (total < 1000) return fmt::format("{}ms", total);
  std::string out;
  if (total >= 3'600'000) out += fmt::format("{}h", total / 3'600'000);
  if (total >= 60'000) out += fmt::format("{}m", total / 60'000 % 60);
  const auto rest = total % 60'000;
  if (rest % 1000 == 0) return out + fmt::format("{}s", rest / 1000);
  return out + fmt::format("{:g}s", static_cast<double>(rest) / 1000);
}

// "a=b" of a list that a file may write as {first: a, second: b}, and of a map.
std::pair<std::string, std::string> halves(const std::string& item) {
  const std::size_t equals = std::min(item.find('='), item.size());
  return {item.substr(0, equals), item.substr(std::min(equals + 1, item.size()))};
}

json::value items_value(const config::Option& option, const std::string& value) {
  if (option.type == config::ValueType::kMap) {  // featureGates: all are true or false
    json::object map;
    for (const std::string& item : config::split_list(value)) {
      const auto [name, is] = halves(item);
      map[name] = is == "true";
    }
    return map;
  }
  json::array items;
  for (const std::string& item : config::split_list(value)) {
    if (option.item_keys[0].empty()) {
      items.emplace_back(item);
    } else {  // logging.vmodule: a text and a number
      const auto [first, second] = halves(item);
      items.emplace_back(
          json::object{{option.item_keys[0], first}, {option.item_keys[1], json::parse(second)}});
    }
  }
  return items;
}

json::value json_value(const config::Option& option, const config::Config& config,
                       std::string_view key) {
  const std::string value = value_of(option, config);
  if (option.type == config::ValueType::kFlag) return value == "true";
  const bool is_number = option.type == config::ValueType::kNumber || key == "oomScoreAdj";
  if (is_number && value.empty()) return nullptr;
  if (is_number) return json::parse(value);
  // To kube-proxy the Pod networks are one text.
  if (config::has_items(option.type) && key != "clusterCIDR") return items_value(option, value);
  if (option.placeholder == "DURATION") return json::value(go_duration(value));
  return json::value(value);
}

// Sets the value at "a.b.c", and makes the objects on the way.
void put(json::object& object, std::string_view key, json::value value) {
  const std::size_t dot = key.find('.');
  if (dot == std::string_view::npos) {
    object[key] = std::move(value);
    return;
  }
  json::value& inner = object[key.substr(0, dot)];
  if (!inner.is_object()) inner = json::object();
  put(inner.get_object(), key.substr(dot + 1), std::move(value));
}

json::object document(std::string_view version, std::string_view kind) {
  json::object object;
  object["kind"] = kind;
  object["apiVersion"] = version;
  return object;
}

}  // namespace

std::string configz_text(const config::Config& config) {
  json::object upstream = document(config::kProxyApiVersion, config::kProxyKind);
  json::object ours = document(config::kOurApiVersion, config::kOurKind);
  for (const config::Option& option : config::options()) {
    if (option.get == nullptr) continue;
    if (!option.key.empty()) put(upstream, option.key, json_value(option, config, option.key));
    const std::string_view own = option.own_key.empty() ? option.key : option.own_key;
    if (!own.empty()) put(ours, own, json_value(option, config, own));
  }
  json::object all;
  all["kube-ipvs.io"] = std::move(ours);
  all["kubeproxy.config.k8s.io"] = std::move(upstream);
  return json::serialize(all);
}

std::string flagz_text(const config::Config& config) {
  std::map<std::string_view, std::string> flags;
  for (const config::Option& option : config::options()) {
    if (option.get == nullptr || option.flag.empty()) continue;
    flags[option.flag] = value_of(option, config);
  }
  std::string page = header(config, "flagz");
  for (const auto& [flag, value] : flags) page += fmt::format("{}={}\n", flag, value);
  return page;
}

std::string statusz_text(const config::Config& config,
                         std::chrono::system_clock::time_point started,
                         std::chrono::system_clock::time_point now,
                         const std::vector<std::string>& paths) {
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(now - started).count();
  std::string all;
  for (const std::string& path : paths) all += " " + path;
  return header(config, "statusz") +
         fmt::format(
             "\nStarted: {:%a %b %e %H:%M:%S UTC %Y}\nUp: {} hr {:02} min {:02} sec\n"
             "Binary version: {}\nPaths:{}\n",
             fmt::gmtime(std::chrono::system_clock::to_time_t(started)), up / 3600, up / 60 % 60,
             up % 60, KUBE_IPVS_VERSION, all);
}

}  // namespace agent
