// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/ipv4_table.hpp"

#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace ipvs {
namespace {

int ask(int socket, int question, void* answer, std::size_t size) {
  auto length = static_cast<socklen_t>(size);
  return ::getsockopt(socket, IPPROTO_IP, question, answer, &length) == 0 ? 0 : errno;
}

bool is_empty(const ip_vs_service_entry& entry) { return entry.protocol == 0 && entry.fwmark == 0; }
bool is_empty(const ip_vs_dest_entry& entry) { return entry.addr == 0 && entry.port == 0; }

// Question and answer are one object: a header that says for how many entries there is `room`, and
// the entries. The kernel does not say how many it wrote: those behind the last stay zero, and if
// none does there may be more. Returns an errno.
template <typename Header, typename Entry>
int read_entries(int socket, int question, Header header, unsigned Header::*room,
                 std::size_t expected, std::vector<Entry>& entries) {
  constexpr std::size_t kSpare = 16;
  std::vector<std::byte> answer;
  for (std::size_t most = expected + kSpare;; most *= 2) {
    answer.assign(sizeof(Header) + most * sizeof(Entry), std::byte{});
    header.*room = static_cast<unsigned>(most);
    std::memcpy(answer.data(), &header, sizeof(Header));
    if (const int error = ask(socket, question, answer.data(), answer.size())) return error;
    entries.clear();
    entries.reserve(most);
    for (const std::byte* at = answer.data() + sizeof(Header); entries.size() < most;
         at += sizeof(Entry)) {
      Entry entry;
      std::memcpy(&entry, at, sizeof(Entry));  // it need not be aligned
      if (is_empty(entry)) return 0;
      entries.push_back(entry);
    }
  }
}

Address address_of(std::uint32_t in_network_order) {
  return boost::asio::ip::address_v4(ntohl(in_network_order));
}

// `Question` names a virtual server by protocol, addr and port.
template <typename Question>
Question question_about(const ServerKey& key) {
  Question question{};
  question.protocol = static_cast<std::uint16_t>(key.protocol);
  std::memcpy(&question.addr, key.address.bytes().data(), sizeof(question.addr));
  question.port = htons(key.port);
  return question;
}

std::optional<ServerKey> key_of(const ip_vs_service_entry& entry) {
  if (entry.fwmark != 0) return ServerKey{.fwmark = entry.fwmark};
  const auto protocol = protocol_numbered(entry.protocol);
  if (!protocol) return std::nullopt;
  return ServerKey{
      .address = address_of(entry.addr), .port = ntohs(entry.port), .protocol = *protocol};
}

std::string scheduler_of(const ip_vs_service_entry& entry) {
  return {entry.sched_name, ::strnlen(entry.sched_name, sizeof(entry.sched_name))};
}

}  // namespace

Ipv4Table::~Ipv4Table() {
  if (socket_ >= 0) ::close(socket_);
}

Ipv4Table::Ipv4Table(Ipv4Table&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

Ipv4Table& Ipv4Table::operator=(Ipv4Table&& other) noexcept {
  std::swap(socket_, other.socket_);
  return *this;
}

int Ipv4Table::open() {
  if (socket_ < 0) socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return socket_ < 0 ? errno : 0;
}

Result<std::size_t> Ipv4Table::count() {
  ip_vs_getinfo info{};
  int error = open();
  if (error == 0) error = ask(socket_, IP_VS_SO_GET_INFO, &info, sizeof(info));
  if (error != 0) return KernelError{error, "counting the virtual servers (IP_VS_SO_GET_INFO)"};
  return {boost::system::in_place_value, info.num_services};
}

Result<std::vector<Ipv4Table::Entry>> Ipv4Table::servers() {
  const auto known = count();
  if (!known) return known.error();
  std::vector<ip_vs_service_entry> entries;
  const int error = read_entries(socket_, IP_VS_SO_GET_SERVICES, ip_vs_get_services{},
                                 &ip_vs_get_services::num_services, *known, entries);
  if (error != 0) return KernelError{error, "reading virtual servers (IP_VS_SO_GET_SERVICES)"};
  std::vector<Entry> servers;
  servers.reserve(entries.size());
  for (const ip_vs_service_entry& entry : entries) {
    if (const auto key = key_of(entry)) {
      servers.push_back({*key, scheduler_of(entry), entry.num_dests});
    }
  }
  return servers;
}

Result<std::size_t> Ipv4Table::count_destinations(const ServerKey& key) {
  auto entry = question_about<ip_vs_service_entry>(key);
  int error = open();
  if (error == 0) error = ask(socket_, IP_VS_SO_GET_SERVICE, &entry, sizeof(entry));
  if (error != 0) {
    return KernelError{error,
                       "counting the destinations of " + key.text() + " (IP_VS_SO_GET_SERVICE)"};
  }
  return {boost::system::in_place_value, entry.num_dests};
}

Result<std::vector<DestinationReading>> Ipv4Table::destinations(const ServerKey& key,
                                                                std::size_t count) {
  std::vector<ip_vs_dest_entry> entries;
  int error = open();
  if (error == 0) {
    error = read_entries(socket_, IP_VS_SO_GET_DESTS, question_about<ip_vs_get_dests>(key),
                         &ip_vs_get_dests::num_dests, count, entries);
  }
  if (error != 0) {
    return KernelError{error,
                       "reading the destinations of " + key.text() + " (IP_VS_SO_GET_DESTS)"};
  }
  std::vector<DestinationReading> found;
  found.reserve(entries.size());
  for (const ip_vs_dest_entry& entry : entries) {
    found.push_back(
        {.destination = {.endpoint = {address_of(entry.addr), ntohs(entry.port)},
                         .weight = static_cast<std::uint32_t>(entry.weight)},
         .active_connections = entry.activeconns,
         .inactive_connections = entry.inactconns,
         .persistent_connections = entry.persistconns,
         .is_masqueraded = (entry.conn_flags & IP_VS_CONN_F_FWD_MASK) == IP_VS_CONN_F_MASQ});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.destination.endpoint < b.destination.endpoint;
  });
  return found;
}

}  // namespace ipvs
