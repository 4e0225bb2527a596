// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flows.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include "ipvs/host/flow_codec.hpp"

namespace ipvs {
namespace {

// The most dumps for a batch (one per destination), and for a destination (one per endpoint).
constexpr std::size_t kFewDestinations = 8;
constexpr std::size_t kFewEndpoints = 4;

auto wanted_of(Family family, std::span<const Kernel::StaleFlow> flows) {
  std::unordered_map<Endpoint, std::vector<std::optional<Endpoint>>> wanted;
  for (const auto& flow : flows) {
    const ServerKey& server = flow.server;
    if (server.protocol != Protocol::kUdp || server.fwmark != 0 || flow.kept_clients) continue;
    if (family_of(server.address) != family) continue;
    wanted[{server.address, server.port}].push_back(flow.endpoint);
  }
  return wanted;
}

bool leads_to(const std::vector<std::optional<Endpoint>>& endpoints, const Flow& flow) {
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const auto& endpoint) {
    return !endpoint || *endpoint == flow.reply_source;
  });
}

template <typename Wanted>
bool matches(const Wanted& wanted, const Flow& flow) {
  if (flow.protocol != Protocol::kUdp) return false;
  const auto found = wanted.find(flow.original_destination);
  return found != wanted.end() && leads_to(found->second, flow);
}

}  // namespace

Result<FlowCleaner> FlowCleaner::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return FlowCleaner(std::move(*socket));
}

// Any request of the subsystem makes the kernel load it; this one has a short answer.
void FlowCleaner::load() {
  MessageBatch request;
  encode_get_statistics(request);
  (void)socket_.transact(request);
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
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const auto found = find_of_others(family, flows);
    if (!found) return found.error();
    const auto count = remove(std::span<const Flow>(*found));
    if (!count) return count.error();
    removed += *count;
  }
  return {boost::system::in_place_value, removed};
}

// The entries of clients that are in none of `kept_clients` of their server.
Result<std::vector<Flow>> FlowCleaner::find_of_others(Family family,
                                                      std::span<const Kernel::StaleFlow> flows) {
  std::unordered_map<ServerKey, const std::vector<Network>*> kept;
  for (const Kernel::StaleFlow& flow : flows) {
    if (!flow.kept_clients || family_of(flow.server.address) != family) continue;
    kept.insert_or_assign(flow.server, &*flow.kept_clients);
  }
  std::vector<Flow> found;
  if (kept.empty()) return found;
  const auto is_wanted = [&](const Flow& flow) {
    const Endpoint& to = flow.original_destination;
    const auto server = kept.find({to.address, to.port, flow.protocol});
    return server != kept.end() &&
           std::none_of(server->second->begin(), server->second->end(), [&](const Network& each) {
             return is_in(flow.client, each.address, each.prefix_length);
           });
  };
  int error = 0;
  if (filters_ && kept.size() <= kFewDestinations) {
    for (const auto& [server, networks] : kept) {
      const FlowFilter only{.protocol = server.protocol,
                            .destination = Endpoint{server.address, server.port}};
      if (error == 0) error = dump(family, only, is_wanted, found);
    }
    if (error == EINVAL || error == EOPNOTSUPP) filters_ = false;  // the kernel is older than 5.8
  }
  if (!filters_ || kept.size() > kFewDestinations) {
    found.clear();
    error = dump(family, std::nullopt, is_wanted, found);
  }
  if (error != 0) return KernelError{error, "reading connection tracking (CT_GET)"};
  return found;
}

// With a filter for each destination, the kernel searches its table once per destination but sends
// little, and sending is what takes the time.
Result<std::vector<Flow>> FlowCleaner::find(Family family, const Wanted& wanted) {
  std::vector<Flow> found;
  int error = filters_ && wanted.size() <= kFewDestinations ? dump_each(family, wanted, found)
                                                            : dump_all(family, wanted, found);
  if (filters_ && (error == EINVAL || error == EOPNOTSUPP)) {
    filters_ = false;  // the kernel is older than 5.8
    found.clear();
    error = dump_all(family, wanted, found);
  }
  if (error != 0) return KernelError{error, "reading connection tracking (CT_GET)"};
  return found;
}

int FlowCleaner::dump_all(Family family, const Wanted& wanted, std::vector<Flow>& found) {
  std::optional<FlowFilter> udp;
  if (filters_) udp.emplace();
  return dump(
      family, udp, [&](const Flow& flow) { return matches(wanted, flow); }, found);
}

int FlowCleaner::dump_each(Family family, const Wanted& wanted, std::vector<Flow>& found) {
  for (const auto& [destination, endpoints] : wanted) {
    const int error = dump_destination(family, destination, endpoints, found);
    if (error != 0) return error;
  }
  return 0;
}

// A name server has thousands of flows, and few of them lead to the removed endpoint, so the kernel
// is asked for those alone. A kernel that does not support this filter sends no entries. So until
// the filter has found an entry once (kProven), an empty result means: ask for all entries of the
// destination. If that finds some, the filter does not work (kBroken).
int FlowCleaner::dump_destination(Family family, const Endpoint& destination,
                                  const std::vector<std::optional<Endpoint>>& endpoints,
                                  std::vector<Flow>& found) {
  const bool named = endpoints.size() <= kFewEndpoints &&
                     std::none_of(endpoints.begin(), endpoints.end(),
                                  [](const auto& endpoint) { return !endpoint; });
  const std::size_t before = found.size();
  const auto dump_only = [&](const std::optional<Endpoint>& source) {
    const auto is_wanted = [&](const Flow& flow) {
      return flow.protocol == Protocol::kUdp && flow.original_destination == destination &&
             (source ? flow.reply_source == *source : leads_to(endpoints, flow));
    };
    return dump(
        family,
        FlowFilter{.protocol = Protocol::kUdp, .destination = destination, .reply_source = source},
        is_wanted, found);
  };
  if (named && reply_filter_ != Trust::kBroken) {
    for (const auto& endpoint : endpoints) {
      const int error = dump_only(endpoint);
      if (error != 0) return error;
    }
    if (found.size() > before) reply_filter_ = Trust::kProven;
    if (reply_filter_ == Trust::kProven) return 0;
  }
  const int error = dump_only(std::nullopt);
  if (named && found.size() > before) reply_filter_ = Trust::kBroken;
  return error;
}

// Appends the wanted entries to `found`. The result is an errno or 0.
int FlowCleaner::dump(Family family, const std::optional<FlowFilter>& only,
                      const std::function<bool(const Flow&)>& is_wanted, std::vector<Flow>& found) {
  const std::size_t before = found.size();
  MessageBatch request;
  encode_dump_flows(request, family, only);
  const auto result = socket_.dump(
      request, [&] { found.resize(before); },
      [&](const NetlinkMessage& message) {
        auto flow = decode_flow(message.payload);
        if (flow && is_wanted(*flow)) found.push_back(std::move(*flow));
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
      // ENOENT: the entry expired meanwhile, or was created again and so leads to an endpoint that
      // exists.
      if (error == 0 || error == ENOENT) continue;
      return KernelError{error, "deleting from connection tracking (CT_DELETE)"};
    }
  }
  return {boost::system::in_place_value, removed};
}

}  // namespace ipvs
