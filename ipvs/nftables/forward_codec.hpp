// SPDX-License-Identifier: Apache-2.0
//
// Chains of others at the forward hook, and our one rule in them: from and to messages of
// nf_tables. Pure; ipvs/nftables/forward_chains.hpp says what for.
//
// Layout (include/uapi/linux/netfilter/nf_tables.h); integers are big-endian:
//
//   NEWCHAIN  NFTA_CHAIN_TABLE, _NAME, _TYPE, _HOOK { HOOKNUM, PRIORITY }, _POLICY
//   NEWRULE   NFTA_RULE_TABLE, _CHAIN, _HANDLE, _EXPRESSIONS, _USERDATA
//
// NFTA_RULE_USERDATA is nft's own: { u8 type; u8 length; value } ...; type 0 is the comment, with
// its NUL. `iptables-nft` shows it as a comment, too. By it our rule is known again.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/host_network.hpp"

namespace ipvs {

// A dump of all chains there are, and of the rules of one.
void encode_get_chains(MessageBatch& batch);
void encode_get_rules(MessageBatch& batch, const ForwardChain& chain);
// Transactions: our rule becomes the first of the chain; our rules are deleted. The rule accepts
// what belongs or is related to a connection that was let in before.
MessageBatch encode_accept_replies(const ForwardChain& chain);
MessageBatch encode_withdraw(const ForwardChain& chain);

// `payload`: after the nlmsghdr. nullopt for chains elsewhere, for those that do not filter, and
// for our own table's.
std::optional<ForwardChain> decode_forward_chain(Bytes payload);
// The handle of a rule of ours.
std::optional<std::uint64_t> decode_our_rule(Bytes payload);

// Whether a message tells that a forward chain came or changed its policy, or that our rule went.
bool concerns_forwarding(std::uint16_t message_type, Bytes payload);

}  // namespace ipvs
