// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target for everything that parses what a netlink socket received, except nftables
// (nft_fuzz.cpp), and for the parser of /proc/net/ip_vs. The first byte chooses the parser.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ipvs/host/flow_codec.hpp"
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
    }
  }
  return 0;
}
