// SPDX-License-Identifier: Apache-2.0
#include "ipvs/flows.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "ipvs/flow_codec.hpp"

namespace ipvs {
namespace {

constexpr std::size_t kBatchBytes = 60 * 1024;

constexpr std::size_t kFewDestinations = 8;

auto wanted_of(Family family, std::span<const Kernel::StaleFlow> flows) {
  std::unordered_map<Endpoint, std::vector<std::optional<Endpoint>>> wanted;
  for (const auto& flow : flows) {
    const ServerKey& server = flow.server;
    if (server.protocol != Protocol::kUdp || server.fwmark != 0) continue;
    if (family_of(server.address) != family) continue;
    wanted[{server.address, server.port}].push_back(flow.endpoint);
  }
  return wanted;
}

template <typename Wanted>
bool matches(const Wanted& wanted, const Flow& flow) {
  const auto found = wanted.find(flow.original_destination);
  if (found == wanted.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const auto& endpoint) {
    return !endpoint || *endpoint == flow.reply_source;
  });
}

}  // namespace

Result<FlowCleaner> FlowCleaner::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return FlowCleaner(std::move(*socket));
}

Result<std::size_t> FlowCleaner::remove(std::span<const Kernel::StaleFlow> flows) {
  std::size_t removed = 0;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const Wanted wanted = wanted_of(family, flows);
    if (wanted.empty()) continue;
    const auto found = find(family, wanted);
    if (!found) return found.error();
    const auto count = remove(std::span<const Flow>(*found));
    if (!count) return count.error();
    removed += *count;
  }
  return {boost::system::in_place_value, removed};
}

// Asked for one destination after the other the kernel looks through its table each time, but sends
// little; sending is what costs.
Result<std::vector<Flow>> FlowCleaner::find(Family family, const Wanted& wanted) {
  std::vector<Flow> found;
  int error = filtered_ && wanted.size() <= kFewDestinations
                  ? dump_each(family, wanted, found)
                  : dump(family, std::nullopt, wanted, found);
  if (filtered_ && (error == EINVAL || error == EOPNOTSUPP)) {
    filtered_ = false;  // a kernel before 5.8
    found.clear();
    error = dump(family, std::nullopt, wanted, found);
  }
  if (error != 0) return KernelError{error, "reading connection tracking (CT_GET)"};
  return found;
}

int FlowCleaner::dump_each(Family family, const Wanted& wanted, std::vector<Flow>& found) {
  for (const auto& [destination, endpoints] : wanted) {
    if (const int error = dump(family, destination, wanted, found)) return error;
  }
  return 0;
}

// Appends what matches. An errno.
int FlowCleaner::dump(Family family, const std::optional<Endpoint>& only, const Wanted& wanted,
                      std::vector<Flow>& found) {
  const std::size_t before = found.size();
  MessageBatch request;
  encode_dump_flows(request, family, only, filtered_);
  const auto result = socket_.dump(
      request, [&] { found.resize(before); },
      [&](const NetlinkMessage& message) {
        auto flow = decode_flow(message.payload);
        // An answer may hold others' flows, too, and those of a wanted destination are asked for by
        // themselves.
        if (!flow || (only && flow->original_destination != *only)) return;
        if (matches(wanted, *flow)) found.push_back(std::move(*flow));
      });
  return result ? 0 : result.error().error_number;
}

Result<std::size_t> FlowCleaner::remove(std::span<const Flow> flows) {
  std::size_t removed = 0;
  MessageBatch batch;
  for (std::size_t done = 0; done < flows.size();) {
    batch.clear();
    for (; done < flows.size() && batch.byte_size() < kBatchBytes; ++done) {
      encode_delete_flow(batch, flows[done]);
    }
    for (const int error : socket_.transact(batch)) {
      if (error == 0) ++removed;
      // ENOENT: it expired meanwhile, or was made anew, and then leads to an endpoint that is
      // there.
      if (error == 0 || error == ENOENT) continue;
      return KernelError{error, "deleting from connection tracking (CT_DELETE)"};
    }
  }
  return {boost::system::in_place_value, removed};
}

}  // namespace ipvs
