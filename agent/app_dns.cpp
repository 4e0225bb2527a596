// SPDX-License-Identifier: Apache-2.0
//
// How the DNS server is connected: what it answers with, for whom it asks others, and what it counts.
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/app.hpp"
#include "agent/dns/records.hpp"

namespace agent {
namespace {

std::vector<dns::Server::Place> dns_places(const std::vector<config::HostPort>& places) {
  std::vector<dns::Server::Place> all;
  all.reserve(places.size());
  for (const config::HostPort& each : places) all.emplace_back(each.address, each.port);
  return all;
}

}  // namespace

std::unique_ptr<dns::Server> App::make_dns() {
  if (config_.dns_binds.empty()) return nullptr;
  dns::Server::Options options;
  options.zone = dns::name_of(config_.cluster_domain).value_or(dns::Name(1, 0));
  options.records_of = [this, zone = options.zone](const ipvs::Owner& owner) {
    const k8s::Service* service = cluster_.service(owner);
    if (!service) return std::vector<dns::Record>();
    const auto endpoints =
        service->headless ? cluster_.named_endpoints(*service) : std::vector<NamedEndpoint>();
    return dns::records_of(*service, endpoints, zone);
  };
  options.may_ask = [this](const boost::asio::ip::address& client) {
    return cluster_.is_of_cluster(ipvs::Address(client));
  };
  options.on_bind = [this](const std::string& place, const std::string& fault) {
    const std::string what = "DNS on " + place;
    const bool is_news = health_.set_fault(what, fault);
    if (is_news && !fault.empty()) services_.port_not_opened(what, fault);
  };
  options.connections = &connections_;
  options.serial = static_cast<std::uint32_t>(ClusterState::unix_now());
  auto server = std::make_unique<dns::Server>(context_.get_executor(), std::move(options));
  server->set_addresses(dns_places(config_.dns_binds));
  server->set_upstreams(dns_places(config_.dns_upstreams));
  scrape_.before_metrics([this] { set_dns_metrics(); });
  return server;
}

std::uint16_t App::dns_port() const {
  const auto places = dns_ ? dns_->places() : std::vector<dns::Server::Place>();
  return places.empty() ? std::uint16_t{0} : places.front().port();
}

void App::set_dns_metrics() {
  dns_->counters().for_each(
      [this](std::string_view protocol, std::string_view type, std::string_view rcode,
             std::uint64_t count) { metrics_.set_dns_requests(protocol, type, rcode, count); });
  metrics_.set_dns_names(dns_->name_count());
}

void App::change_dns(const config::Difference& changed) {
  if (!dns_) return;
  if (changed.has({"dns-bind-address"})) dns_->set_addresses(dns_places(config_.dns_binds));
  if (changed.has({"dns-upstream"})) dns_->set_upstreams(dns_places(config_.dns_upstreams));
}

}  // namespace agent
