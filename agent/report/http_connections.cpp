// SPDX-License-Identifier: Apache-2.0
#include "agent/report/http_connections.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace agent {

HttpConnections::Limits HttpConnections::limits_for(std::size_t descriptors) {
  Limits limits;
  limits.in_all = std::clamp<std::size_t>(descriptors / 4, 16, limits.in_all);
  limits.per_server = std::min(limits.per_server, limits.in_all / 2);
  return limits;
}

HttpConnections::Place::Place(HttpConnections& all, const void* server,
                              const boost::asio::ip::address& client, std::function<void()> close)
    : all_(all) {
  if (all_.count(server) >= all_.limits_.per_server) all_.make_room(server);
  if (all_.size() >= all_.limits_.in_all) all_.make_room(nullptr);
  entry_ = all_.entries_.insert(
      all_.entries_.end(),
      {.server = server, .client = client, .close = std::move(close), .since = ++all_.moment_});
}

HttpConnections::Place::~Place() { all_.entries_.erase(entry_); }

void HttpConnections::Place::change(bool is_waiting) {
  entry_->is_waiting = is_waiting;
  entry_->since = ++all_.moment_;
}

bool HttpConnections::make_room(const void* server) {
  const auto counts = [server](const Entry& entry) {
    return !entry.is_closed && (!server || entry.server == server);
  };
  std::map<boost::asio::ip::address, std::size_t> of_client;
  for (const Entry& entry : entries_) {
    if (counts(entry)) ++of_client[entry.client];
  }
  const auto rank = [&](const Entry& entry) {
    return std::tuple(of_client[entry.client], entry.is_waiting, moment_ - entry.since);
  };
  Entry* victim = nullptr;
  for (Entry& entry : entries_) {
    if (counts(entry) && (!victim || rank(entry) > rank(*victim))) victim = &entry;
  }
  if (!victim) return false;
  victim->is_closed = true;
  victim->close();
  return true;
}

std::size_t HttpConnections::count(const void* server) const {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(), [server](const Entry& entry) {
        return !entry.is_closed && (!server || entry.server == server);
      }));
}

}  // namespace agent
