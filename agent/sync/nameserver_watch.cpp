// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/nameserver_watch.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>
#include <iterator>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;

constexpr std::uint16_t kDnsPort = 53;
constexpr std::string_view kKeyword = "nameserver";
constexpr std::string_view kBlanks = " \t\r";

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// "" if the line is about something else.
std::string_view nameserver_in(std::string_view line) {
  if (!line.starts_with(kKeyword)) return {};
  line.remove_prefix(kKeyword.size());
  const std::size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos || begin == 0) return {};
  return line.substr(begin, line.find_first_of(kBlanks, begin) - begin);
}

std::string text_of(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

std::vector<ipvs::Address> nameservers_of(std::string_view resolv_conf) {
  std::vector<ipvs::Address> found;
  while (!resolv_conf.empty()) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(nameserver_in(next_line(resolv_conf)), error);
    if (error || address.is_loopback() || address.is_unspecified()) continue;
    if (address.is_v6() && address.to_v6().is_link_local()) continue;
    found.emplace_back(address);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

NameserverWatch::NameserverWatch(asio::any_io_executor executor, ClusterState& cluster,
                                 Options options)
    : executor_(std::move(executor)), cluster_(cluster), options_(std::move(options)) {}

void NameserverWatch::read() {
  for (const std::string& file : options_.files) {
    std::vector<ipvs::Endpoint> held;
    for (const ipvs::Address& each : nameservers_of(text_of(file))) {
      held.push_back({each, kDnsPort});
    }
    cluster_.set_holder({HolderKind::kNameserver, file}, std::move(held));
  }
}

asio::awaitable<void> NameserverWatch::run() {
  asio::steady_timer pause(executor_);
  while (true) {
    pause.expires_after(options_.period);
    co_await pause.async_wait(asio::use_awaitable);
    read();
  }
}

}  // namespace agent
