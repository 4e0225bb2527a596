// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target for everything that parses what a netlink socket received, except nftables
// (nft_fuzz.cpp), and for the parsers of /proc/net/ip_vs and /proc/net/netlink. The first byte chooses the parser.
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ipvs/host/flow_codec.hpp"
#include "ipvs/host/flow_listener.hpp"
#include "ipvs/host/route_codec.hpp"
#include "ipvs/netlink/replies.hpp"
#include "ipvs/virtual_servers/codec.hpp"
#include "ipvs/virtual_servers/proc_table.hpp"

namespace {

void read_payload(ipvs::Bytes payload) {
  (void)ipvs::decode_service(payload);
  (void)ipvs::decode_destination(payload, ipvs::Family::kIpv4);
  (void)ipvs::decode_destination(payload, ipvs::Family::kIpv6);
  (void)ipvs::decode_info(payload);
  (void)ipvs::decode_link(payload);
  (void)ipvs::decode_address(payload);
  (void)ipvs::decode_route(payload);
  if (const auto flow = ipvs::decode_flow(payload)) {
    ipvs::MessageBatch batch;
    ipvs::encode_delete_flow(batch, *flow);
  }
  for (const int command : {IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_DELETE}) {
    const auto type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | command);
    const auto event =
        ipvs::decode_flow_event({.type = type, .flags = NLM_F_CREATE, .payload = payload});
    if (!event) continue;
    ipvs::MessageBatch batch;
    ipvs::encode_get_flow(batch, event->key, event->zone);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ipvs::Bytes bytes = std::as_bytes(std::span(data + 1, size - 1));
  switch (data[0] % 4) {
    case 0: {
      ipvs::OutcomeCollector collector(0, 4, 3);
      collector.feed(bytes, [](std::size_t, const ipvs::NetlinkMessage& message) {
        read_payload(message.payload);
      });
      break;
    }
    case 1: {
      ipvs::DumpCollector collector(0);
      collector.feed(bytes,
                     [](const ipvs::NetlinkMessage& message) { read_payload(message.payload); });
      break;
    }
    case 2:
      read_payload(bytes);
      break;
    default: {
      ipvs::ProcTableParser parser;
      const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
      parser.feed(text.substr(0, text.size() / 2));
      parser.feed(text.substr(text.size() / 2));
      (void)parser.finish();
      (void)ipvs::has_other_listener(text, 1);
    }
  }
  return 0;
}
