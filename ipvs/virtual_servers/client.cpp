// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/client.hpp"

#include <fcntl.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "ipvs/virtual_servers/proc_table.hpp"

namespace ipvs {
namespace {

// Up to this many virtual servers, a netlink dump for each is as fast as the file.
constexpr std::size_t kFewServers = 16;

// A dump comes in parts, and the kernel begins each at a number, not at a virtual server. If it moves
// them to a larger table between two parts (from Linux 7 on), or somebody else changes them, some
// come twice, and as many are missing: then all are read again, so many times.
constexpr int kDumpTries = 5;

// How many there were.
std::size_t erase_repeated(std::vector<ServerReading>& readings) {
  std::unordered_set<ServerKey> seen;
  seen.reserve(readings.size());
  return std::erase_if(readings, [&](const ServerReading& reading) {
    return !seen.insert(reading.settings.key).second;
  });
}

KernelError error_of(int error, std::string what, const std::string& extended) {
  if (error == EPERM) what += " (run as root or grant CAP_NET_ADMIN)";
  if (!extended.empty()) what += " (" + extended + ")";
  return {error, std::move(what)};
}

// Not /proc/net, which shows the namespace of the process's first thread: that may be another one.
constexpr const char* kProcTable = "/proc/thread-self/net/ip_vs";

// An errno.
int feed_proc_table(ProcTableParser& parser) {
  const int file = ::open(kProcTable, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  std::array<char, std::size_t{16} * 1024> piece;
  ssize_t size = 0;
  while ((size = ::read(file, piece.data(), piece.size())) > 0) {
    parser.feed({piece.data(), static_cast<std::size_t>(size)});
  }
  const int error = size < 0 ? errno : 0;
  ::close(file);
  return error;
}

// Nullopt if the file cannot be read, or has a line that the parser does not understand.
std::optional<std::unordered_map<ServerKey, std::vector<Destination>>> read_proc_table(
    std::set<ServerKey>& not_masqueraded) {
  ProcTableParser parser;
  const int error = feed_proc_table(parser);
  auto servers = parser.finish();
  if (error != 0 || parser.strange_lines() > 0) return std::nullopt;
  not_masqueraded = parser.not_masqueraded();
  return servers;
}

// Makes a kernel load ip_vs that does not do so for its netlink family (before about 5.17): asked
// whether it has the iptables match "ipvs", it loads xt_ipvs, which needs ip_vs. It runs the
// modprobe of the host, also for a container that has none (nfnl_compat_get_rcu() in nft_compat.c).
void load_ipvs() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return;
  MessageBatch batch;
  batch.begin_message(NFNL_SUBSYS_NFT_COMPAT << 8 | NFNL_MSG_COMPAT_GET);
  batch.put_header(nfgenmsg{.nfgen_family = AF_INET, .version = NFNETLINK_V0, .res_id = 0});
  batch.put_string(NFTA_COMPAT_NAME, "ipvs");
  batch.put_be32(NFTA_COMPAT_REV, 0);
  batch.put_be32(NFTA_COMPAT_TYPE, 0);  // a match
  (void)socket->transact(batch);
}

// Ticks of the kernel's clock in a second: this clock advances with them.
std::uint32_t ticks_per_second() {
  timespec resolution{};
  if (::clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_nsec == 0) return 1;
  constexpr std::int64_t kSecond = 1'000'000'000;
  return static_cast<std::uint32_t>((kSecond + resolution.tv_nsec / 2) / resolution.tv_nsec);
}

}  // namespace

Result<Configuration> read_proc_configuration() {
  ProcTableParser parser(true);
  for (int tries = 1;; ++tries) {
    const int error = feed_proc_table(parser);
    if (error != 0) return KernelError{error, std::string("reading ") + kProcTable};
    if (parser.repeated() == 0 || tries == kDumpTries) break;
    parser = ProcTableParser(true);
  }
  const std::vector<VirtualServer> settings = parser.settings();
  auto destinations = parser.finish();
  if (parser.strange_lines() > 0) {
    return KernelError{EPROTO, std::string("reading ") + kProcTable + ": unknown lines"};
  }
  Configuration configuration;
  configuration.not_masqueraded = parser.not_masqueraded();
  const std::uint32_t ticks = ticks_per_second();
  for (const VirtualServer& each : settings) {
    Server server{each, std::move(destinations[each.key])};
    server.settings.timeout_seconds /= ticks;
    configuration.servers.push_back(std::move(server));
  }
  return configuration;
}

IpvsClient::IpvsClient(NetlinkSocket socket, std::uint16_t family)
    : socket_(std::move(socket)), family_(family) {}

Result<IpvsClient> IpvsClient::open() {
  auto socket = NetlinkSocket::open(NETLINK_GENERIC, {}, NetlinkSocket::kReceiveLittle);
  if (!socket) return socket.error();
  auto family = socket->resolve_family(IPVS_GENL_NAME);
  // While the module is being loaded, only the second attempt may succeed.
  if (!family) family = socket->resolve_family(IPVS_GENL_NAME);
  if (!family) {
    load_ipvs();
    family = socket->resolve_family(IPVS_GENL_NAME);
  }
  if (!family && family.error().error_number == ENOENT) {
    return KernelError{ENOENT, "the kernel has no IPVS: load it with `modprobe ip_vs`"};
  }
  if (!family) return family.error();
  return IpvsClient(std::move(*socket), *family);
}

std::vector<int> IpvsClient::change_servers(std::span<const ServerOp> ops) {
  std::vector<int> outcomes;
  outcomes.reserve(ops.size());
  while (outcomes.size() < ops.size()) {
    batch_.clear();
    for (std::size_t i = outcomes.size(); i < ops.size() && batch_.byte_size() < kBatchBytes; ++i) {
      encode_op(batch_, family_, ops[i]);
    }
    const auto sent = socket_.transact(batch_);
    outcomes.insert(outcomes.end(), sent.begin(), sent.end());
  }
  return outcomes;
}

Result<std::vector<ServerReading>> IpvsClient::dump_services() {
  for (int tries = 1;; ++tries) {
    auto readings = dump_services_once();
    if (!readings) return readings;
    if (erase_repeated(*readings) == 0 || tries == kDumpTries) return readings;
  }
}

// Through a socket of its own: in parts as large as the kernel makes them, since it walks through its
// table from the beginning to each part.
Result<std::vector<ServerReading>> IpvsClient::dump_services_once() {
  auto socket = NetlinkSocket::open(NETLINK_GENERIC);
  if (!socket) return socket.error();
  std::vector<ServerReading> readings;
  batch_.clear();
  encode_dump_services(batch_, family_);
  const auto result = socket->dump(
      batch_, [&] { readings.clear(); },
      [&](const NetlinkMessage& message) {
        if (auto reading = decode_service(message.payload)) {
          readings.push_back(std::move(*reading));
        }
      });
  if (!result) {
    return error_of(result.error().error_number, "reading virtual servers (GET_SERVICE)",
                    socket->extended());
  }
  return readings;
}

Result<std::vector<DestinationReading>> IpvsClient::dump_destinations(const ServerKey& key) {
  std::vector<DestinationReading> readings;
  batch_.clear();
  encode_dump_destinations(batch_, family_, key);
  const Family family = family_of(key.address);
  const auto result = socket_.dump(
      batch_, [&] { readings.clear(); },
      [&](const NetlinkMessage& message) {
        if (auto reading = decode_destination(message.payload, family)) {
          readings.push_back(*reading);
        }
      });
  if (!result) {
    return error_of(result.error().error_number,
                    "reading the destinations of " + key.text() + " (GET_DEST)",
                    socket_.extended());
  }
  std::sort(readings.begin(), readings.end(),
            [](const DestinationReading& a, const DestinationReading& b) {
              return a.destination.endpoint < b.destination.endpoint;
            });
  return readings;
}

Result<std::optional<ServerReading>> IpvsClient::read_server(const ServerKey& key) {
  auto readings = read_servers({&key, 1});
  if (!readings) return readings.error();
  if (readings->empty()) return std::optional<ServerReading>();
  return std::optional(std::move(readings->front()));
}

Result<std::vector<ServerReading>> IpvsClient::read_servers(std::span<const ServerKey> keys) {
  auto readings = read_counters(keys);
  if (!readings) return readings;
  return with_destinations(std::move(*readings));
}

Result<std::vector<ServerReading>> IpvsClient::read_counters(std::span<const ServerKey> keys) {
  std::vector<ServerReading> readings;
  readings.reserve(keys.size());
  for (std::size_t done = 0; done < keys.size();) {
    batch_.clear();
    while (done + batch_.size() < keys.size() && batch_.byte_size() < kBatchBytes) {
      encode_get_service(batch_, family_, keys[done + batch_.size()]);
    }
    const auto outcomes = socket_.transact(batch_, [&](std::size_t, const NetlinkMessage& message) {
      if (auto reading = decode_service(message.payload)) readings.push_back(std::move(*reading));
    });
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i] == 0 || outcomes[i] == ESRCH) continue;
      return error_of(outcomes[i], "reading " + keys[done + i].text() + " (GET_SERVICE)",
                      socket_.extended());
    }
    done += outcomes.size();
  }
  return readings;
}

Result<std::vector<ServerReading>> IpvsClient::read_destinations(std::span<const ServerKey> keys) {
  std::vector<ServerReading> readings;
  readings.reserve(keys.size());
  for (const ServerKey& key : keys) {
    auto found = from_ipv4_table(key);
    if (!found) {
      auto dumped = dump_destinations(key);
      if (!dumped) return dumped.error();
      found = std::move(*dumped);
    }
    readings.push_back({.settings = {.key = key}, .destinations = std::move(*found)});
  }
  return readings;
}

Result<std::vector<ServerReading>> IpvsClient::with_destinations(
    std::vector<ServerReading> readings) {
  for (ServerReading& reading : readings) {
    auto destinations = dump_destinations(reading.settings.key);
    if (!destinations) return destinations.error();
    reading.destinations = std::move(*destinations);
  }
  return readings;
}

// The older interface has the destinations of IPv4. Those of IPv6 come from /proc/net/ip_vs if there
// are many virtual servers, or else from a dump for each.
Result<Configuration> IpvsClient::read_configuration() {
  auto readings = dump_services();
  if (!readings) return readings.error();
  Configuration configuration;
  configuration.servers.reserve(readings->size());
  std::vector<ServerReading> others;
  const auto counts = count_destinations();
  for (ServerReading& reading : *readings) {
    const auto count = counts.find(reading.settings.key);
    if (count == counts.end() ||
        !add_from_ipv4_table(reading.settings, count->second, configuration)) {
      others.push_back(std::move(reading));
    }
  }
  std::set<ServerKey> not_masqueraded;
  std::optional<std::unordered_map<ServerKey, std::vector<Destination>>> file;
  if (others.size() > kFewServers) file = read_proc_table(not_masqueraded);
  for (ServerReading& reading : others) {
    const ServerKey key = reading.settings.key;
    Server server{std::move(reading.settings), {}};
    if (file && file->contains(key)) {
      server.destinations = std::move(file->at(key));
      if (not_masqueraded.contains(key)) configuration.not_masqueraded.insert(key);
    } else {
      const auto dumped = dump_destinations(key);
      if (!dumped) return dumped.error();
      for (const DestinationReading& each : *dumped) {
        server.destinations.push_back(each.destination);
        if (!each.is_masqueraded) configuration.not_masqueraded.insert(key);
      }
    }
    configuration.servers.push_back(std::move(server));
  }
  return configuration;
}

// Of the virtual servers that the older interface knows; empty where the kernel does not have it.
std::unordered_map<ServerKey, std::size_t> IpvsClient::count_destinations() {
  std::unordered_map<ServerKey, std::size_t> counts;
  const auto servers = ipv4_table_.servers();
  if (!servers) return counts;
  counts.reserve(servers->size());
  for (const auto& server : *servers) {
    if (server.key.fwmark == 0) counts.emplace(server.key, server.destinations);
  }
  return counts;
}

// False: it has destinations that the older interface does not show.
bool IpvsClient::add_from_ipv4_table(VirtualServer& settings, std::size_t count,
                                     Configuration& configuration) {
  const auto found = from_ipv4_table(settings.key, count);
  if (!found) return false;
  Server server{std::move(settings), {}};
  server.destinations.reserve(found->size());
  for (const DestinationReading& each : *found) {
    server.destinations.push_back(each.destination);
    if (!each.is_masqueraded) configuration.not_masqueraded.insert(server.settings.key);
  }
  configuration.servers.push_back(std::move(server));
  return true;
}

// All destinations of a virtual server that has `count`, if that is known; nullopt: the older interface
// does not show them all.
std::optional<std::vector<DestinationReading>> IpvsClient::from_ipv4_table(
    const ServerKey& key, std::optional<std::size_t> count) {
  if (!key.address.is_v4() || key.fwmark != 0) return std::nullopt;
  if (!count) {
    const auto counted = ipv4_table_.count_destinations(key);
    if (!counted) return std::nullopt;
    count = *counted;
  }
  auto found = ipv4_table_.destinations(key, *count);
  if (!found || found->size() != *count) return std::nullopt;
  return std::move(*found);
}

Result<std::vector<ServerKey>> IpvsClient::table_order(bool with_ipv6) {
  std::vector<ServerKey> keys;
  if (!with_ipv6) {
    const auto servers = ipv4_table_.servers();
    if (!servers) return servers.error();
    for (const auto& server : *servers) keys.push_back(server.key);
    return keys;
  }
  const auto dumped = dump_services();
  if (!dumped) return dumped.error();
  for (const ServerReading& reading : *dumped) keys.push_back(reading.settings.key);
  return keys;
}

bool IpvsClient::uses_scheduler(const std::string& scheduler) {
  const auto servers = ipv4_table_.servers();
  return servers && std::any_of(servers->begin(), servers->end(),
                                [&](const auto& server) { return server.scheduler == scheduler; });
}

Result<std::size_t> IpvsClient::count_ipv4_servers() { return ipv4_table_.count(); }

Result<IpvsInfo> IpvsClient::info() {
  batch_.clear();
  encode_get_info(batch_, family_);
  std::optional<IpvsInfo> info;
  const auto outcomes = socket_.transact(batch_, [&](std::size_t, const NetlinkMessage& message) {
    info = decode_info(message.payload);
  });
  if (outcomes[0] != 0) {
    return error_of(outcomes[0], "reading the version of IPVS (GET_INFO)", socket_.extended());
  }
  if (!info)
    return KernelError{EPROTO, "reading the version of IPVS (GET_INFO): the reply has no version"};
  return *info;
}

Result<Timeouts> IpvsClient::timeouts() {
  batch_.clear();
  encode_get_timeouts(batch_, family_);
  Timeouts timeouts;
  const auto outcomes = socket_.transact(batch_, [&](std::size_t, const NetlinkMessage& message) {
    timeouts = decode_timeouts(message.payload);
  });
  if (outcomes[0] == 0) return timeouts;
  return error_of(outcomes[0], "reading the timeouts of IPVS (GET_CONFIG)", socket_.extended());
}

Result<void> IpvsClient::set_timeouts(const Timeouts& timeouts) {
  if (timeouts == Timeouts{}) return {};
  batch_.clear();
  encode_set_timeouts(batch_, family_, timeouts);
  const int error = socket_.transact(batch_)[0];
  if (error == 0) return {};
  return error_of(error, "setting the timeouts of IPVS (SET_CONFIG)", socket_.extended());
}

}  // namespace ipvs
