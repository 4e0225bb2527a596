// SPDX-License-Identifier: Apache-2.0
//
// Messages of nf_tables as a dump or a multicast group delivers them. Input: the message type (2
// bytes, as on this machine), then the message without its nlmsghdr. Besides not crashing: what is
// decoded is an element that has a set in our table, and it survives being written and read
// again.
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ipvs/kube_proxy/chain_codec.hpp"
#include "ipvs/kube_proxy/rules_codec.hpp"
#include "ipvs/kube_proxy/set_codec.hpp"
#include "ipvs/nftables/decode.hpp"
#include "ipvs/nftables/encode.hpp"
#include "ipvs/nftables/forward_codec.hpp"
#include "ipvs/nftables/table.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint16_t type;
  if (size < sizeof(type)) return 0;
  std::memcpy(&type, data, sizeof(type));
  const auto payload = std::as_bytes(std::span(data, size)).subspan(sizeof(type));

  (void)ipvs::concerns_our_table(type, payload);
  (void)ipvs::concerns_forwarding(type, payload);
  (void)ipvs::decode_forward_chain(payload);
  (void)ipvs::decode_our_rule(payload);
  (void)ipvs::decode_chain_name(payload);
  (void)ipvs::decode_table_rule(payload);
  (void)ipvs::decode_set_name(payload);
  (void)ipvs::decode_cluster_ip_clients(payload);
  ipvs::KubeProxyRules members;
  ipvs::decode_members(payload, members);
  std::vector<ipvs::Element> elements;
  ipvs::decode_elements(payload, elements);

  std::vector<ipvs::ElementOp> ops;
  for (const ipvs::Element& element : elements) ops.push_back({.add = true, .element = element});
  ipvs::Transaction transaction = ipvs::encode_changes(ops);
  if (transaction.misplaced) std::abort();
  std::vector<ipvs::Element> again;
  for (std::size_t i = 0; i < transaction.batch.size(); ++i) {
    ipvs::decode_elements(transaction.batch.message_bytes(i).subspan(sizeof(nlmsghdr)), again);
  }
  if (again != elements) std::abort();
  return 0;
}
