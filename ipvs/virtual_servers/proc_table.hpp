// SPDX-License-Identifier: Apache-2.0
//
// Parses /proc/net/ip_vs, which everybody may read: virtual servers and destinations without
// counters and scheduler flags. For whoever has no CAP_NET_ADMIN, and for many destinations of IPv6.
// Pure.
//
// Layout (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show()). Addresses, ports and firewall
// marks are hexadecimal, weights, numbers of connections and timeouts decimal; timeouts in ticks of
// the kernel's clock (CONFIG_HZ).
//
//   IP Virtual Server version 1.2.1 (size=4096)
//   Prot LocalAddress:Port Scheduler Flags
//     -> RemoteAddress:Port Forward Weight ActiveConn InActConn
//   TCP  0A60000A:0050 rr persistent 10800 FFFFFFFF
//     -> 0AF40107:1F90      Masq    1      0          0
//   TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 rr
//     -> [fd00:0000:0000:0000:0000:0000:0000:0007]:1F90 Masq    1      0          0
//   FWM  0000001A rr                      (the file does not show its family)
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ipvs/state/model.hpp"

namespace ipvs {

// Takes the file in pieces of any size, so that memory never holds the whole file.
class ProcTableParser {
 public:
  ProcTableParser() = default;
  explicit ProcTableParser(bool keep_settings) : keep_settings_(keep_settings) {}
  void feed(std::string_view piece);

  // The destinations of each virtual server, ordered by endpoint. Virtual servers with a firewall
  // mark are left out. Leaves the parser empty.
  std::unordered_map<ServerKey, std::vector<Destination>> finish();
  // The number of lines that were not understood (headings are). If it is not 0, the result of
  // finish() may be wrong or incomplete.
  std::size_t strange_lines() const { return strange_lines_; }
  // How many virtual servers came once more, the last one counts: the kernel moved them to a larger
  // table while the file was read (from Linux 7 on), and as many are missing.
  std::size_t repeated() const { return repeated_; }
  // The settings of each virtual server, from its line, which does not show the scheduler's flags;
  // `timeout_seconds` is in ticks, as the file has it. Before finish(), and only if the parser was
  // made to keep them.
  const std::vector<VirtualServer>& settings() const { return settings_; }
  // Those with a destination that is not masqueraded; after finish(), too.
  const std::set<ServerKey>& not_masqueraded() const { return not_masqueraded_; }

 private:
  void take_line(std::string_view line);
  void keep_settings(std::string_view words);

  bool keep_settings_ = false;
  std::vector<VirtualServer> settings_;
  std::string rest_;  // the beginning of a line that is not complete yet
  std::unordered_map<ServerKey, std::vector<Destination>> servers_;
  std::vector<Destination>* current_ = nullptr;  // nullptr: its virtual server is left out
  ServerKey current_key_{};
  std::set<ServerKey> not_masqueraded_;
  bool in_server_ = false;
  std::size_t strange_lines_ = 0;
  std::size_t repeated_ = 0;
};

}  // namespace ipvs
