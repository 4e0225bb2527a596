// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flow_filter.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace ipvs {
namespace {

constexpr std::uint32_t kFamilyAt = 16;
constexpr std::uint32_t kPass = 0xffffffff;

struct Places {
  std::uint32_t address_type, address, port_type, port;  // the types are 2 bytes after the lengths
  std::uint16_t address_attribute;
};
constexpr Places kPlaces4{38, 40, 66, 68, CTA_IP_V4_DST};
constexpr Places kPlaces6{50, 52, 90, 92, CTA_IP_V6_DST};

std::uint32_t word_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

class Program {
 public:
  void load(std::uint16_t size, std::uint32_t at) { add(BPF_LD | size | BPF_ABS, at); }
  void pass() { add(BPF_RET | BPF_K, kPass); }
  void drop() { add(BPF_RET | BPF_K, 0); }
  // BPF loads in network order. Goes on with the next instruction if equal, else skips `count` more.
  void skip_unless(std::uint32_t value, std::uint8_t count) {
    code_.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, count, value});
  }
  void skip(std::uint32_t count) { add(BPF_JMP | BPF_JA, count); }
  std::size_t size() const { return code_.size(); }
  void append(const Program& other) {
    code_.insert(code_.end(), other.code_.begin(), other.code_.end());
  }
  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  void add(int code, std::uint32_t value) {
    code_.push_back({static_cast<__u16>(code), 0, 0, value});
  }
  std::vector<sock_filter> code_;
};

// Passes what is about one of the family's servers, and what has another layout; else drops.
Program of_family(std::span<const ServerKey> servers, Family family) {
  const Places& places = family == Family::kIpv4 ? kPlaces4 : kPlaces6;
  Program program;
  program.load(BPF_H, places.address_type);
  program.skip_unless(htons(places.address_attribute), 3);
  program.load(BPF_H, places.port_type);
  program.skip_unless(htons(CTA_PROTO_DST_PORT), 1);
  program.skip(1);
  program.pass();
  for (const ServerKey& server : servers) {
    if (family_of(server.address) != family) continue;
    const auto bytes = server.address.bytes();
    const std::size_t words = bytes.size() / sizeof(std::uint32_t);
    for (std::size_t i = 0; i < words; ++i) {
      const auto at = static_cast<std::uint32_t>(i * sizeof(std::uint32_t));
      program.load(BPF_W, places.address + at);
      // The rest of this server: a load and a comparison for each word, the port and the pass.
      program.skip_unless(word_at(bytes, at), static_cast<std::uint8_t>((words - i - 1) * 2 + 3));
    }
    program.load(BPF_H, places.port);
    program.skip_unless(server.port, 1);
    program.pass();
  }
  program.drop();
  return program;
}

}  // namespace

std::vector<sock_filter> filter_of_events(std::span<const ServerKey> servers) {
  const Program v4 = of_family(servers, Family::kIpv4);
  const Program v6 = of_family(servers, Family::kIpv6);
  Program program;
  program.load(BPF_B, kFamilyAt);
  program.skip_unless(AF_INET, 1);
  program.skip(3);
  program.skip_unless(AF_INET6, 1);
  program.skip(static_cast<std::uint32_t>(v4.size()) + 1);
  program.pass();  // of another family
  program.append(v4);
  program.append(v6);
  if (program.size() > BPF_MAXINSNS) return {};
  return program.take();
}

}  // namespace ipvs
