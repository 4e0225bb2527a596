// SPDX-License-Identifier: Apache-2.0
//
// Chains of others at the forward hook, and our one rule in them: from and to messages of
// nf_tables. Pure. ipvs/nftables/forward_chains.hpp says why.
//
// Layout (include/uapi/linux/netfilter/nf_tables.h); integers are big-endian:
//
//   NEWCHAIN  NFTA_CHAIN_TABLE, _NAME, _TYPE, _HOOK { HOOKNUM, PRIORITY }, _POLICY
//   NEWRULE   NFTA_RULE_TABLE, _CHAIN, _HANDLE, _EXPRESSIONS, _USERDATA
//
// NFTA_RULE_USERDATA is a format of nft: { u8 type; u8 length; value } ...; type 0 is the comment,
// with its NUL. `iptables-nft` shows it as a comment, too. We recognise our rule by it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/host_network.hpp"

namespace ipvs {

// Requests a dump of all chains, and of the rules of one.
void encode_get_chains(MessageBatch& batch);
void encode_get_rules(MessageBatch& batch, const ForwardChain& chain);
// Transactions: our rule becomes the first of the chain; our rules are deleted. The rule accepts
// packets of established and related connections.
MessageBatch encode_accept_replies(const ForwardChain& chain);
MessageBatch encode_withdraw(const ForwardChain& chain);

// `payload`: after the nlmsghdr. nullopt for chains of other hooks or types, and for our own
// table's.
std::optional<ForwardChain> decode_forward_chain(Bytes payload);
// The handle of a rule of ours.
std::optional<std::uint64_t> decode_our_rule(Bytes payload);

// Whether a message says that a forward chain was added or changed its policy, or that our rule was
// deleted.
bool concerns_forwarding(std::uint16_t message_type, Bytes payload);

}  // namespace ipvs
