// SPDX-License-Identifier: Apache-2.0
//
// Kernel settings under /proc/sys: which ones we need, and setting them.
//
// A setting that already has the right value is not written, so a read-only /proc/sys is enough if
// someone else (the distribution, an init container) has set the values. A value that is written is
// read back, and what was there before is recorded first (ipvs/host/setting_record.hpp).
//
// Errors: if required settings cannot be read or set, the error names all of them and the remedy.
// Other settings cause a warning only.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/host/setting_record.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

struct KernelVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};
// "6.1.0-28-amd64" -> 6.1; 0.0 if `release` is not a version.
KernelVersion parse_kernel_version(const std::string& release);
KernelVersion running_kernel_version();  // uname -r

// A setting and when it applies: to kernels `from` <= version < `before`.
struct SysctlRule {
  enum class When { kAlways, kStrictArp };
  enum class Effort {
    kRequired,    // set it, or do not start
    kReportOnly,  // never set by us; a warning if it has another value
  };
  const char* key;  // the path below /proc/sys
  const char* value;
  When when = When::kAlways;
  Effort effort = Effort::kRequired;
  KernelVersion from = {0, 0};
  KernelVersion before = {1000, 0};
  const char* reason = "";
};
// Every setting that prepare() checks.
std::span<const SysctlRule> sysctl_rules();
bool applies(const SysctlRule& rule, const HostSettings& settings, KernelVersion version);

class Sysctls {
 public:
  explicit Sysctls(std::string root = "/proc/sys") : root_(std::move(root)) {}
  // From now on write() records what was there before. `record` must outlive this.
  void record_in(SettingRecord& record) { record_ = &record; }

  // The value without the trailing line break.
  Result<std::string> read(const std::string& key) const;
  Result<void> write(const std::string& key, const std::string& value) const;
  // Gives it back the value that it had before us, and forgets that. Nothing is written, and the
  // result is false, if somebody else has given it another value since then.
  Result<bool> restore(const ChangedSetting& setting) const;
  Result<bool> is_as_set(const ChangedSetting& setting) const;
  // What we have changed and not restored.
  std::vector<ChangedSetting> changed() const;
  void forget_changes() const;

 private:
  Result<void> put(const std::string& key, const std::string& value) const;

  std::string root_;
  SettingRecord* record_ = nullptr;
};

struct SysctlReport {
  std::vector<std::string> changes;  // "net/ipv4/vs/conntrack: 0 -> 1"
  std::vector<std::string> warnings;
};
// Applies sysctl_rules(), and restores what an earlier run set by a rule that does not apply any
// more. The module ip_vs must be loaded: it creates net/ipv4/vs/.
Result<SysctlReport> set_sysctls(const Sysctls& sysctls, const HostSettings& settings,
                                 KernelVersion version);

}  // namespace ipvs
