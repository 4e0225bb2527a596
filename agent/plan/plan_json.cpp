// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/plan_json.hpp"

#include <boost/json/array.hpp>
#include <cstdint>
#include <limits>
#include <utility>

#include "agent/ask/fields.hpp"
#include "config/version.hpp"

namespace agent {

namespace {

namespace json = boost::json;

constexpr const char* kKind = "Plan";
constexpr const char* kApiVersion = "kube-ipvs.io/v1";
constexpr std::size_t kShown = 64;

json::array texts(const std::set<std::string>& all) { return json::array(all.begin(), all.end()); }
json::array texts(const std::set<ipvs::Address>& all) {
  json::array out;
  for (const ipvs::Address& each : all) out.push_back(json::value(each.to_string()));
  return out;
}

json::object to_json(const ipvs::Server& server, const std::string& owner) {
  const ipvs::VirtualServer& settings = server.settings;
  json::array destinations;
  for (const ipvs::Destination& each : server.destinations) {
    destinations.push_back(json::object{{"address", each.endpoint.address.to_string()},
                                        {"port", each.endpoint.port},
                                        {"weight", each.weight}});
  }
  json::object out{{"protocol", ipvs::name_of(settings.key.protocol)},
                   {"address", settings.key.address.to_string()},
                   {"port", settings.key.port}};
  if (!owner.empty()) out["service"] = owner;
  out["scheduler"] = settings.scheduler;
  out["flags"] = settings.flags;
  out["persistenceSeconds"] = settings.timeout_seconds;
  out["destinations"] = std::move(destinations);
  return out;
}

// Reads fields; the first that is wrong ends it, with its path.
class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  std::string text(const json::value& of, const char* name) const {
    const json::value* value = field(of, name);
    if (!value || !value->is_string()) fail(name, "is no text");
    return std::string(value->as_string());
  }
  template <typename T>
  T number(const json::value& of, const char* name) const {
    const json::value* value = field(of, name);
    boost::system::error_code error;
    const auto number = value ? value->to_number<std::uint64_t>(error) : 0;
    if (!value || error || number > std::numeric_limits<T>::max()) {
      fail(name, "is no number from 0 to " + std::to_string(std::numeric_limits<T>::max()));
    }
    return static_cast<T>(number);
  }
  const json::array& list(const json::value& of, const char* name) const {
    const json::value* value = field(of, name);
    if (!value || !value->is_array()) fail(name, "is no list");
    return value->as_array();
  }
  ipvs::Address address(const std::string& text, const std::string& name) const {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(text, error);
    if (error) fail(name, "\"" + text.substr(0, kShown) + "\" is no IP address");
    return address;
  }
  ipvs::Address address(const json::value& of, const char* name) const {
    return address(text(of, name), name);
  }
  std::set<std::string> texts(const json::value& of, const char* name) const {
    std::set<std::string> all;
    for (const json::value& each : list(of, name)) {
      if (!each.is_string()) fail(name, "has an item that is no text");
      all.emplace(each.as_string());
    }
    return all;
  }
  std::set<ipvs::Address> addresses(const json::value& of, const char* name) const {
    std::set<ipvs::Address> all;
    for (const std::string& each : texts(of, name)) all.insert(address(each, name));
    return all;
  }
  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    throw BadPlan{(path_.empty() ? "" : path_ + ".") + name + ": " + what};
  }

 private:
  std::string path_;
};

ipvs::Server read_server(const json::value& of, const std::string& path) {
  const Reader reader(path);
  const std::string protocol = reader.text(of, "protocol");
  const auto known = ipvs::protocol_named(protocol);
  if (!known) {
    reader.fail("protocol", "\"" + protocol.substr(0, kShown) + "\" is not TCP, UDP or SCTP");
  }
  ipvs::Server server{
      .settings = {.key = {.address = reader.address(of, "address"),
                           .port = reader.number<std::uint16_t>(of, "port"),
                           .protocol = *known},
                   .scheduler = reader.text(of, "scheduler"),
                   .flags = reader.number<std::uint32_t>(of, "flags"),
                   .timeout_seconds = reader.number<std::uint32_t>(of, "persistenceSeconds")}};
  std::size_t index = 0;
  for (const json::value& each : reader.list(of, "destinations")) {
    const Reader inner(path + ".destinations[" + std::to_string(index++) + "]");
    server.destinations.push_back({.endpoint = {.address = inner.address(each, "address"),
                                                .port = inner.number<std::uint16_t>(each, "port")},
                                   .weight = inner.number<std::uint32_t>(each, "weight")});
  }
  return server;
}

}  // namespace

json::object to_json(const Plan& plan) {
  json::array servers;
  for (const auto& [key, server] : plan.servers) {
    const auto owner = plan.owners.find(key);
    servers.push_back(to_json(server, owner == plan.owners.end() ? "" : owner->second));
  }
  return {{"kind", kKind},
          {"apiVersion", kApiVersion},
          {"version", config::kVersion},
          {"node", {{"name", plan.node.name}, {"addresses", texts(plan.node.addresses)}}},
          {"virtualServers", std::move(servers)},
          {"addresses", texts(plan.addresses)},
          {"elements", texts(plan.elements)},
          {"rules", texts(plan.rules)},
          {"refused", texts(plan.refused)}};
}

bool is_plan(const json::value& value) { return text_of(value, "kind") == kKind; }

boost::system::result<Plan, BadPlan> read_plan(const json::value& value) {
  try {
    const Reader reader("");
    if (const std::string version = reader.text(value, "apiVersion"); version != kApiVersion) {
      reader.fail("apiVersion",
                  "\"" + version.substr(0, kShown) + "\" is not " + std::string(kApiVersion));
    }
    Plan plan{.addresses = reader.addresses(value, "addresses"),
              .elements = reader.texts(value, "elements"),
              .rules = reader.texts(value, "rules"),
              .refused = reader.texts(value, "refused")};
    const json::value* node = field(value, "node");
    if (!node) reader.fail("node", "is missing");
    plan.node = {.name = Reader("node").text(*node, "name"),
                 .addresses = Reader("node").addresses(*node, "addresses")};
    std::size_t index = 0;
    for (const json::value& each : reader.list(value, "virtualServers")) {
      ipvs::Server server = read_server(each, "virtualServers[" + std::to_string(index++) + "]");
      const ipvs::ServerKey key = server.settings.key;
      if (std::string owner = text_of(each, "service"); !owner.empty())
        plan.owners[key] = std::move(owner);
      plan.servers[key] = std::move(server);
    }
    return plan;
  } catch (const BadPlan& bad) {
    return bad;
  }
}

}  // namespace agent
