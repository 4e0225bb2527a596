// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/legacy_tables.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

namespace ipvs {
namespace {

constexpr char kTable[] = "filter";

// Of this thread's network namespace.
bool exists(const char* names_file) {
  std::ifstream names(std::string("/proc/thread-self/net/") + names_file);
  for (std::string name; std::getline(names, name);) {
    if (name == kTable) return true;
  }
  return false;
}

template <typename T>
std::optional<T> read_at(const std::vector<std::byte>& bytes, std::size_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof(value)) return std::nullopt;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// How the two families differ; getinfo and get_entries are the same.
struct FamilyLayout {
  std::uint8_t family;
  int domain;
  int level;
  const char* names_file;
  std::size_t target_offset;  // where an entry says where its target is
};
constexpr FamilyLayout kFamilies[] = {
    {NFPROTO_IPV4, AF_INET, IPPROTO_IP, "ip_tables_names", offsetof(ipt_entry, target_offset)},
    {NFPROTO_IPV6, AF_INET6, IPPROTO_IPV6, "ip6_tables_names", offsetof(ip6t_entry, target_offset)},
};

// The rule at which a chain ends says its policy.
std::optional<bool> drops(const std::vector<std::byte>& table, std::size_t underflow,
                          const FamilyLayout& layout) {
  const std::size_t rule = offsetof(ipt_get_entries, entrytable) + underflow;
  const auto offset = read_at<std::uint16_t>(table, rule + layout.target_offset);
  if (!offset) return std::nullopt;
  const auto target = read_at<xt_standard_target>(table, rule + *offset);
  if (!target) return std::nullopt;
  return target->verdict == -NF_DROP - 1;
}

std::optional<bool> forward_drops(const FamilyLayout& layout) {
  const int fd = ::socket(layout.domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  std::optional<bool> answer;
  ipt_getinfo info{};
  std::memcpy(info.name, kTable, sizeof(kTable));
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, layout.level, IPT_SO_GET_INFO, &info, &size) == 0) {
    std::vector<std::byte> table(offsetof(ipt_get_entries, entrytable) + info.size);
    std::memcpy(table.data(), kTable, sizeof(kTable));
    std::memcpy(table.data() + offsetof(ipt_get_entries, size), &info.size, sizeof(info.size));
    size = static_cast<socklen_t>(table.size());
    // EAGAIN: the table was replaced meanwhile; the next read will show it.
    if (::getsockopt(fd, layout.level, IPT_SO_GET_ENTRIES, table.data(), &size) == 0) {
      answer = drops(table, info.underflow[NF_INET_FORWARD], layout);
    }
  }
  ::close(fd);
  return answer;
}

}  // namespace

static_assert(IPT_SO_GET_INFO == IP6T_SO_GET_INFO && IPT_SO_GET_ENTRIES == IP6T_SO_GET_ENTRIES &&
              sizeof(ipt_getinfo) == sizeof(ip6t_getinfo) &&
              offsetof(ipt_get_entries, entrytable) == offsetof(ip6t_get_entries, entrytable));

std::vector<ForwardChain> legacy_forward_chains() {
  std::vector<ForwardChain> chains;
  for (const FamilyLayout& layout : kFamilies) {
    if (!exists(layout.names_file)) continue;
    const auto drops = forward_drops(layout);
    if (!drops) continue;
    chains.push_back({.family = layout.family,
                      .table = kTable,
                      .name = "FORWARD",
                      .drops = *drops,
                      .legacy = true});
  }
  return chains;
}

}  // namespace ipvs
