// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/event_table.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <utility>

#include "ipvs/nftables/chain_messages.hpp"
#include "ipvs/nftables/message.hpp"
#include "ipvs/nftables/statements.hpp"

namespace ipvs {
namespace {

constexpr std::int32_t kPriority = -190;
constexpr std::uint32_t kEvents = 1U << IPCT_NEW | 1U << IPCT_DESTROY | 1U << IPCT_PROTOINFO;

constexpr std::array kChains{
    Chain{"prerouting", Chain::Hook{"filter", NF_INET_PRE_ROUTING, kPriority}},
    Chain{"output", Chain::Hook{"filter", NF_INET_LOCAL_OUT, kPriority}}};

Expressions is_new() { return has_state(NF_CT_STATE_BIT(IP_CT_NEW)); }

Expressions set_events(std::uint32_t mask) {
  return {expression::LoadValue{NFT_REG_1, RegisterValue::of_u32(mask)},
          expression::SetConntrack{NFT_CT_EVENTMASK, NFT_REG_1}};
}

RegisterValue port_value(std::uint16_t port) {
  RegisterValue value = RegisterValue::zeros(sizeof(port));
  value.bytes[0] = static_cast<std::byte>(port >> 8);
  value.bytes[1] = static_cast<std::byte>(port & 0xff);
  return value;
}

// By what the client wrote: IPVS sends what it has translated through the output hook, too.
Expressions is_to(const ServerKey& server) {
  const FamilyFacts& f = kFamilies[server.address.is_v4() ? 0 : 1];
  const auto load = [](std::uint32_t key) {
    return expression::LoadConntrack{.key = key, .to = NFT_REG_1, .direction = IP_CT_DIR_ORIGINAL};
  };
  return is_family(f) +
         Expressions{load(f.client_wrote), expression::Compare{NFT_CMP_EQ, NFT_REG_1,
                                                               RegisterValue::of(server.address)}} +
         compare_protocol(NFT_CMP_EQ, static_cast<std::uint8_t>(server.protocol)) +
         Expressions{load(NFT_CT_PROTO_DST),
                     expression::Compare{NFT_CMP_EQ, NFT_REG_1, port_value(server.port)}};
}

}  // namespace

MessageBatch encode_event_table(const std::string& name, std::span<const ServerKey> servers,
                                bool silences_others, bool replaces) {
  MessageBatch batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  if (replaces) {
    begin_nft_message(batch, NFPROTO_INET, NFT_MSG_DELTABLE, 0);
    batch.put_string(NFTA_TABLE_NAME, name);
  }
  begin_nft_message(batch, NFPROTO_INET, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  batch.put_string(NFTA_TABLE_NAME, name);
  batch.put_be32(NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
  for (const Chain& chain : kChains) put_chain(batch, name, chain);
  for (const Chain& chain : kChains) {
    for (const ServerKey& server : servers) {
      put_rule(batch, name,
               {chain.name, is_new() + is_to(server) + set_events(kEvents) + verdict(NF_ACCEPT)});
    }
    if (silences_others) put_rule(batch, name, {chain.name, is_new() + set_events(0)});
  }
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  return batch;
}

EventTable::EventTable(NetlinkSocket socket)
    : socket_(std::move(socket)), name_("kube-ipvs-observe-" + std::to_string(socket_.port())) {}

Result<EventTable> EventTable::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return EventTable(std::move(*socket));
}

Result<void> EventTable::install(std::span<const ServerKey> servers, bool silences_others) {
  MessageBatch batch = encode_event_table(name_, servers, silences_others, is_installed_);
  if (const int error = socket_.transact_atomically(batch)) {
    return KernelError{error, "installing the nftables table " + name_};
  }
  is_installed_ = true;
  return {};
}

}  // namespace ipvs
