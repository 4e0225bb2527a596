// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/conntrack_limits.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

namespace ipvs {
namespace {

constexpr const char* kEntries = "net/netfilter/nf_conntrack_max";
constexpr const char* kBuckets = "net/netfilter/nf_conntrack_buckets";
constexpr std::uint64_t kMostEntries = 1'048'576;
// The kernel rounds the number of buckets up to whole pages; they are at most 64 KiB.
constexpr std::uint64_t kBucketStep = 65'536 / sizeof(void*);

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Raises one after the other, and remembers what it could not.
class Raiser {
 public:
  explicit Raiser(const Sysctls& sysctls) : sysctls_(sysctls) {}

  void raise(const std::string& key, std::uint64_t least) {
    if (least == 0) return;
    const auto found = sysctls_.read(key);
    if (!found) return refuse(key + " (" + ::strerror(found.error().error_number) + ")");
    const auto value = number(*found);
    if (!value) return refuse(key + " is " + *found + ", which is no number");
    if (*value >= least) return;
    if (*value == 0 && key == kEntries) return;  // there is no limit
    const auto written = sysctls_.write(key, std::to_string(least));
    if (!written) {
      return refuse(key + " stays " + *found + " and should be at least " + std::to_string(least) +
                    " (" + ::strerror(written.error().error_number) + ")");
    }
    report_.changes.push_back(key + ": " + *found + " -> " + std::to_string(least));
  }

  SysctlReport finish() {
    if (!refused_.empty()) {
      report_.warnings.push_back("connection tracking is as the host has it: " + refused_ +
                                 "; set it on the host");
    }
    return std::move(report_);
  }

 private:
  void refuse(const std::string& what) { refused_ += (refused_.empty() ? "" : ", ") + what; }

  const Sysctls& sysctls_;
  SysctlReport report_;
  std::string refused_;
};

}  // namespace

std::uint32_t conntrack_entries(std::uint32_t per_cpu, std::uint32_t least, long cpus) {
  if (per_cpu == 0) return 0;
  const std::uint64_t scaled =
      std::uint64_t{per_cpu} * static_cast<std::uint64_t>(std::max(cpus, 1L));
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(std::min(scaled, kMostEntries), least));
}

SysctlReport raise_conntrack(const Sysctls& sysctls, const ConntrackLimits& limits, long cpus) {
  Raiser raiser(sysctls);
  const std::string prefix = "net/netfilter/nf_conntrack_";
  const std::uint64_t entries =
      conntrack_entries(limits.entries_per_cpu, limits.least_entries, cpus);
  const std::uint64_t buckets = (entries / 4 + kBucketStep - 1) / kBucketStep;
  raiser.raise(kEntries, entries);
  raiser.raise(kBuckets, buckets * kBucketStep);
  raiser.raise(prefix + "tcp_timeout_established", limits.tcp_established);
  raiser.raise(prefix + "tcp_timeout_close_wait", limits.tcp_close_wait);
  raiser.raise(prefix + "udp_timeout", limits.udp);
  raiser.raise(prefix + "udp_timeout_stream", limits.udp_stream);
  raiser.raise(prefix + "tcp_be_liberal", limits.tcp_be_liberal ? 1 : 0);
  return raiser.finish();
}

SysctlReport reserve_ports(const Sysctls& sysctls, PortRange ports) {
  SysctlReport report;
  const auto found = sysctls.read(kReservedPorts);
  const std::string wanted = found ? with_reserved(*found, ports) : std::string();
  if (found && *found == wanted) return report;
  const auto written = found ? sysctls.write(kReservedPorts, wanted) : Result<void>(found.error());
  if (!written) {
    report.warnings.push_back("--reserve-node-ports: " + written.error().text());
  } else {
    report.changes.push_back(std::string(kReservedPorts) + ": \"" + *found + "\" -> \"" + wanted +
                             "\"");
  }
  return report;
}

}  // namespace ipvs
