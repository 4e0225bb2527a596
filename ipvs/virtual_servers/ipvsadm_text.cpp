// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/ipvsadm_text.hpp"

namespace ipvs {
namespace {

// MAX_TIMEOUT of ipvsadm.c: 31 days.
constexpr std::uint32_t kLongestPersistence = 31 * 24 * 3600;

// Without the flag: the virtual server itself, as "-t 10.96.0.1:80".
std::string name_text(const ServerKey& key) {
  const Endpoint where{key.address, key.port};
  switch (key.protocol) {
    case Protocol::kTcp:
      return "-t " + where.text();
    case Protocol::kUdp:
      return "-u " + where.text();
    case Protocol::kSctp:
      return "--sctp-service " + where.text();
  }
  return {};
}

// ipvsadm knows the two flags of sh and mh by their names, and of other schedulers by numbers.
std::string scheduler_flags_text(const VirtualServer& server) {
  const bool is_named = server.scheduler == "sh" || server.scheduler == "mh";
  std::string text;
  const auto add = [&](std::uint32_t flag, const char* name, const char* number) {
    if ((server.flags & flag) == 0) return;
    text += text.empty() ? " -b " : ",";
    text += is_named ? server.scheduler + name : std::string(number);
  };
  add(kFlagSched1, "-fallback", "flag-1");
  add(kFlagSched2, "-port", "flag-2");
  return text;
}

// Why ipvsadm has no command for it; "": it has.
std::string fault_of(const VirtualServer& server) {
  if (server.key.fwmark != 0) return "marks of packets are not written";
  if (server.timeout_seconds > kLongestPersistence) {
    return "session affinity of " + std::to_string(server.timeout_seconds) +
           " s: ipvsadm takes 31 days at most";
  }
  return {};
}

}  // namespace

IpvsadmText ipvsadm_text(std::span<const Server> servers) {
  IpvsadmText out;
  for (const Server& each : servers) {
    const VirtualServer& server = each.settings;
    if (const std::string fault = fault_of(server); !fault.empty()) {
      out.left_out.push_back(server.key.text() + ": " + fault);
      continue;
    }
    const std::string name = name_text(server.key);
    out.commands += "-A " + name + " -s " + server.scheduler;
    if ((server.flags & kFlagPersistent) != 0) {
      out.commands += " -p " + std::to_string(server.timeout_seconds);
    }
    if ((server.flags & kFlagOnePacket) != 0) out.commands += " -o";
    out.commands += scheduler_flags_text(server) + "\n";
    for (const Destination& destination : each.destinations) {
      out.commands += "-a " + name + " -r " + destination.endpoint.text() + " -m -w " +
                      std::to_string(destination.weight) + "\n";
    }
  }
  return out;
}

}  // namespace ipvs
