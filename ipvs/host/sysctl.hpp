// SPDX-License-Identifier: Apache-2.0
//
// Kernel settings under /proc/sys: which ones we need, and setting them.
//
// A value that is right already is never written, so a read-only /proc/sys is no obstacle where
// someone else (the distribution, an init container) has set them. What is written is read back.
//
// Errors: a required setting that cannot be had is an error that names it and the remedy; others
// are warnings.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ipvs/state/kernel.hpp"

namespace ipvs {

struct KernelVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};
// "6.1.0-28-amd64" -> 6.1; 0.0 for what is no version.
KernelVersion parse_kernel_version(const std::string& release);
KernelVersion running_kernel_version();  // uname -r

// A setting and when it applies.
struct SysctlRule {
  enum class When { kAlways, kIpv4, kIpv6, kStrictArp };
  enum class Effort {
    kRequired,    // set it, or do not start
    kReportOnly,  // never set by us; warn if it is different
  };
  const char* key;  // as `sysctl` and /proc/sys have it, with slashes
  const char* value;
  When when = When::kAlways;
  Effort effort = Effort::kRequired;
  KernelVersion from = {0, 0};
  KernelVersion before = {1000, 0};
  const char* reason = "";
};
// All of them.
std::span<const SysctlRule> sysctl_rules();
bool applies(const SysctlRule& rule, const HostSettings& settings, KernelVersion version);

class Sysctls {
 public:
  explicit Sysctls(std::string root = "/proc/sys") : root_(std::move(root)) {}
  // Without the line break.
  Result<std::string> read(const std::string& key) const;
  Result<void> write(const std::string& key, const std::string& value) const;

 private:
  std::string root_;
};

struct SysctlReport {
  std::vector<std::string> changes;  // "net/ipv4/vs/conntrack: 0 -> 1"
  std::vector<std::string> warnings;
};
// Carries sysctl_rules() out. Needs ip_vs loaded: net/ipv4/vs/ is its own.
Result<SysctlReport> set_sysctls(const Sysctls& sysctls, const HostSettings& settings,
                                 KernelVersion version);

}  // namespace ipvs
