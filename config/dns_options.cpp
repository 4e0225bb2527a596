// SPDX-License-Identifier: Apache-2.0
#include "config/dns_options.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/setters.hpp"

namespace config {
namespace {

using namespace detail;  // NOLINT: this file is only the table

constexpr std::uint16_t kDnsPort = 53;

template <std::vector<HostPort> Config::*kMember>
std::string add_server(Config& config, std::string_view value) {
  const auto parsed = parse_host_port(value, kDnsPort);
  if (!parsed) return parsed.error().what;
  (config.*kMember).push_back(*parsed);
  return {};
}
template <std::vector<HostPort> Config::*kMember>
std::string get_servers(const Config& config) {
  std::string out;
  for (const HostPort& server : config.*kMember) out += (out.empty() ? "" : ",") + text(server);
  return out;
}
template <std::vector<HostPort> Config::*kMember>
void clear_servers(Config& config) {
  (config.*kMember).clear();
}

bool is_label(std::string_view text) {
  constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         text.find_first_not_of(kInside) == std::string_view::npos;
}

// As the kubelet has it, whose Pods search below it. Its case is none in DNS.
std::string set_cluster_domain(Config& config, std::string_view value) {
  constexpr std::size_t kLongest = 100;  // a Service's name and Namespace must have their place
  std::string domain(value);
  std::transform(domain.begin(), domain.end(), domain.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (domain.ends_with('.')) domain.pop_back();
  std::string_view rest = domain;
  bool is_name = domain.size() <= kLongest;
  while (is_name) {
    const std::size_t dot = rest.find('.');
    is_name = is_label(rest.substr(0, dot));
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (!is_name)
    return quoted(value) + " is not a domain such as cluster.local, of at most 100 characters";
  config.cluster_domain = std::move(domain);
  return {};
}

// What DNS needs of Services and Pods is kept, and requested, only with a server.
bool is_switch(const Config& before, const Config& after) {
  return before.dns_binds.empty() != after.dns_binds.empty();
}

constexpr Option kDnsOptions[] = {
    {.flag = "dns-bind-address",
     .own_key = "dnsBindAddress",
     .type = ValueType::kList,
     .group = Group::kDns,
     .placeholder = "IP[:PORT],...",
     .help = "answer DNS for the cluster domain there",
     .default_note = "off",
     .live = true,
     .set = add_server<&Config::dns_binds>,
     .get = get_servers<&Config::dns_binds>,
     .clear = clear_servers<&Config::dns_binds>,
     .needs_restart = is_switch},
    {.flag = "cluster-domain",
     .own_key = "clusterDomain",
     .group = Group::kDns,
     .placeholder = "DOMAIN",
     .help = "names of Services end with svc. and this",
     .live = false,
     .set = set_cluster_domain,
     .get = get_text<&Config::cluster_domain>},
    {.flag = "dns-upstream",
     .own_key = "dnsUpstream",
     .type = ValueType::kList,
     .group = Group::kDns,
     .placeholder = "IP[:PORT],...",
     .help = "resolvers for other names, for clients in the cluster",
     .default_note = "none: refused",
     .live = true,
     .set = add_server<&Config::dns_upstreams>,
     .get = get_servers<&Config::dns_upstreams>,
     .clear = clear_servers<&Config::dns_upstreams>},
};

}  // namespace

std::span<const Option> dns_options() { return kDnsOptions; }

}  // namespace config
