// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/set_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cassert>
#include <cerrno>

namespace ipvs {
namespace {

constexpr std::uint8_t kProtocol = 6;

void begin(MessageBatch& batch, int command) {
  batch.begin_message(static_cast<std::uint16_t>(NFNL_SUBSYS_IPSET << 8 | command));
  batch.put_header(nfgenmsg{.nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0, .res_id = 0});
  batch.put_u8(IPSET_ATTR_PROTOCOL, kProtocol);
}

}  // namespace

void encode_list_sets(MessageBatch& batch) {
  begin(batch, IPSET_CMD_LIST);
  batch.put_be32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_SETNAME);
}

void encode_destroy_set(MessageBatch& batch, std::string_view name) {
  assert(!name.empty());
  begin(batch, IPSET_CMD_DESTROY);
  batch.put_string(IPSET_ATTR_SETNAME, name);
}

std::optional<std::string> decode_set_name(Bytes payload) {
  for (AttributeReader reader(payload, sizeof(nfgenmsg)); const auto found = reader.next();) {
    if (found->type == IPSET_ATTR_SETNAME && !found->string().empty()) {
      return std::string(found->string());
    }
  }
  return std::nullopt;
}

int errno_of_ipset(int error) {
  switch (error) {
    case IPSET_ERR_BUSY:
      return EBUSY;
    case IPSET_ERR_PROTOCOL:
      return EPROTONOSUPPORT;
    default:
      return error;
  }
}

}  // namespace ipvs
