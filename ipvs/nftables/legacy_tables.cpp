// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/legacy_tables.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

namespace ipvs {
namespace {

// Of this thread's network namespace.
std::vector<std::string> table_names(const char* names_file) {
  std::ifstream file(std::string("/proc/thread-self/net/") + names_file);
  std::vector<std::string> names;
  for (std::string name; std::getline(file, name);) names.push_back(name);
  return names;
}

bool has_table(const char* names_file, const std::string& name) {
  const std::vector<std::string> names = table_names(names_file);
  return std::find(names.begin(), names.end(), name) != names.end();
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
  std::size_t next_offset;    // and where the next entry is
};
constexpr FamilyLayout kFamilies[] = {
    {NFPROTO_IPV4, AF_INET, IPPROTO_IP, "ip_tables_names", offsetof(ipt_entry, target_offset),
     offsetof(ipt_entry, next_offset)},
    {NFPROTO_IPV6, AF_INET6, IPPROTO_IPV6, "ip6_tables_names", offsetof(ip6t_entry, target_offset),
     offsetof(ip6t_entry, next_offset)},
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

struct LegacyTable {
  ipt_getinfo info{};
  std::vector<std::byte> bytes;  // an ipt_get_entries
};

std::optional<LegacyTable> read_table(const FamilyLayout& layout, const std::string& name) {
  LegacyTable table;
  if (name.size() >= sizeof(table.info.name)) return std::nullopt;
  const int fd = ::socket(layout.domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  std::memcpy(table.info.name, name.c_str(), name.size() + 1);
  socklen_t size = sizeof(table.info);
  bool done = ::getsockopt(fd, layout.level, IPT_SO_GET_INFO, &table.info, &size) == 0;
  if (done) {
    table.bytes.resize(offsetof(ipt_get_entries, entrytable) + table.info.size);
    std::memcpy(table.bytes.data(), name.c_str(), name.size() + 1);
    std::memcpy(table.bytes.data() + offsetof(ipt_get_entries, size), &table.info.size,
                sizeof(table.info.size));
    size = static_cast<socklen_t>(table.bytes.size());
    // EAGAIN: the table was replaced meanwhile; the next read will show it.
    done = ::getsockopt(fd, layout.level, IPT_SO_GET_ENTRIES, table.bytes.data(), &size) == 0;
  }
  ::close(fd);
  if (!done) return std::nullopt;
  return table;
}

std::optional<bool> forward_drops(const FamilyLayout& layout) {
  const auto table = read_table(layout, "filter");
  if (!table) return std::nullopt;
  return drops(table->bytes, table->info.underflow[NF_INET_FORWARD], layout);
}

// A chain of a user begins with an entry whose target is ERROR and has the chain's name.
std::string chain_begun_by(const std::vector<std::byte>& table, std::size_t entry,
                           const FamilyLayout& layout) {
  const auto offset = read_at<std::uint16_t>(table, entry + layout.target_offset);
  if (!offset) return {};
  const auto target = read_at<xt_error_target>(table, entry + *offset);
  if (!target || std::strncmp(target->target.u.user.name, XT_ERROR_TARGET,
                              sizeof(target->target.u.user.name)) != 0) {
    return {};
  }
  return {target->errorname, ::strnlen(target->errorname, sizeof(target->errorname))};
}

// `visit` gets the chain that the entry begins; "": it begins none.
template <typename Visit>
void visit_entries(const LegacyTable& table, const FamilyLayout& layout, const Visit& visit) {
  std::size_t entry = offsetof(ipt_get_entries, entrytable);
  while (entry < table.bytes.size()) {
    visit(chain_begun_by(table.bytes, entry, layout));
    const auto next = read_at<std::uint16_t>(table.bytes, entry + layout.next_offset);
    if (!next || *next == 0) return;
    entry += *next;
  }
}

bool has_rules(const LegacyTable& table, const std::string& name, const FamilyLayout& layout) {
  bool is_inside = false;
  std::size_t entries = 0;
  visit_entries(table, layout, [&](const std::string& begun) {
    if (!begun.empty()) {
      is_inside = begun == name;
    } else if (is_inside) {
      ++entries;
    }
  });
  return entries > 1;  // the last one returns
}

}  // namespace

static_assert(IPT_SO_GET_INFO == IP6T_SO_GET_INFO && IPT_SO_GET_ENTRIES == IP6T_SO_GET_ENTRIES &&
              sizeof(ipt_getinfo) == sizeof(ip6t_getinfo) &&
              offsetof(ipt_get_entries, entrytable) == offsetof(ip6t_get_entries, entrytable));

std::vector<ForwardChain> legacy_forward_chains() {
  std::vector<ForwardChain> chains;
  for (const FamilyLayout& layout : kFamilies) {
    if (!has_table(layout.names_file, "filter")) continue;
    const auto drops = forward_drops(layout);
    if (!drops) continue;
    chains.push_back({.family = layout.family,
                      .table = "filter",
                      .name = "FORWARD",
                      .drops = *drops,
                      .legacy = true});
  }
  return chains;
}

std::vector<ChainName> legacy_chain_names() {
  std::vector<ChainName> chains;
  for (const FamilyLayout& layout : kFamilies) {
    for (const std::string& name : table_names(layout.names_file)) {
      const auto table = read_table(layout, name);
      if (!table) continue;
      visit_entries(*table, layout, [&](const std::string& begun) {
        if (!begun.empty()) chains.push_back({layout.family, name, begun});
      });
    }
  }
  return chains;
}

bool legacy_chain_has_rules(const ChainName& chain) {
  for (const FamilyLayout& layout : kFamilies) {
    if (layout.family != chain.family || !has_table(layout.names_file, chain.table)) continue;
    const auto table = read_table(layout, chain.table);
    return table && has_rules(*table, chain.name, layout);
  }
  return false;
}

}  // namespace ipvs
