// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/server_addresses.hpp"

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <utility>

namespace k8s {
namespace {

// ::ffff:192.0.2.1 reaches 192.0.2.1, and fe80::1%eth0 is fe80::1 in every object.
Address plain(const Address& address) {
  if (address.is_v4()) return address;
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6);
  return boost::asio::ip::address_v6(v6.to_bytes());
}

}  // namespace

// How many connections each peer has. The handles know it weakly, so they may outlive `owner`.
struct ServerAddresses::Peers {
  explicit Peers(ServerAddresses& owner_in) : owner(owner_in) {}
  void add(const Address& address) {
    if (++count[address] == 1) owner.update();
  }
  void remove(const Address& address) {
    if (--count[address] > 0) return;
    count.erase(address);
    owner.update();
  }
  ServerAddresses& owner;
  std::map<Address, unsigned> count;
};

void ServerAddresses::configured(const std::string& host) {
  boost::system::error_code no_address;
  const Address address = boost::asio::ip::make_address(host, no_address);
  if (no_address) return;
  configured_.push_back(plain(address));
  update();
}

void ServerAddresses::resolved(const std::string& host, const std::vector<Address>& addresses) {
  if (addresses.empty()) return;
  const auto now = now_();
  auto& seen = resolved_[host];
  std::erase_if(seen, [&](const auto& entry) { return now - entry.second >= kKept; });
  for (const Address& address : addresses) seen[plain(address)] = now;
  update();
}

ServerAddresses::Peer ServerAddresses::connected(const Address& address) {
  struct Handle {
    std::weak_ptr<Peers> peers;
    Address address;
    ~Handle() {
      if (const auto open = peers.lock()) open->remove(address);
    }
  };
  if (!peers_) peers_ = std::make_shared<Peers>(*this);
  auto handle = std::make_shared<Handle>();
  handle->address = plain(address);
  peers_->add(handle->address);
  handle->peers = peers_;
  return handle;
}

void ServerAddresses::update() {
  std::vector<Address> all = configured_;
  for (const auto& [host, addresses] : resolved_) {
    for (const auto& [address, when] : addresses) all.push_back(address);
  }
  if (peers_) {
    for (const auto& [address, connections] : peers_->count) all.push_back(address);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all == all_) return;
  all_ = std::move(all);
  if (changed_) changed_();
}

}  // namespace k8s
