// SPDX-License-Identifier: Apache-2.0
//
// The header of every nf_tables message, and the messages before and after a transaction.
#pragma once

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstdint>

#include "ipvs/netlink/message.hpp"

namespace ipvs {

// `command`: NFT_MSG_*; `family`: NFPROTO_* of the table it is about.
inline void begin_nft_message(MessageBatch& batch, std::uint8_t family, int command, int flags) {
  batch.begin_message(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | command),
                      static_cast<std::uint16_t>(flags));
  batch.put_header(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
}

// `type`: NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END.
inline void put_nft_boundary(MessageBatch& batch, int type) {
  batch.begin_message(static_cast<std::uint16_t>(type));
  batch.put_header(nfgenmsg{
      .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)});
}

}  // namespace ipvs
