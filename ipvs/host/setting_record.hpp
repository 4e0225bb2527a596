// SPDX-License-Identifier: Apache-2.0
//
// What host settings were before we changed them, so that cleanup can restore them
// (ipvs/adr-own-record.md). A file in --run-dir:
//
//   kube-ipvs-settings 1 0e7c...-boot-id net:[4026531840] 7   version, kernel, namespace
//   net/ipv4/vs/conntrack|0|1                                 name, value before, value we set
//
// Write-ahead: a setting is in the file before it is changed. The value before is that of the first
// change; nothing that we set ourselves ever takes its place.
//
// Threading: not thread-safe; calls block as long as a write to memory does.
// Errors: a file that cannot be read, or is not valid, is as if there were none. One that cannot be
// written does not keep a setting from being changed: fault() says so.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/host/run_file.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

struct ChangedSetting {
  std::string name;  // the path below /proc/sys, or kTimeoutsSetting
  std::string before;
  std::string set;
  bool operator==(const ChangedSetting&) const = default;
};

// The timeouts of IPVS, which are no sysctl: "900 120 300", of TCP, after a FIN, and of UDP.
inline constexpr std::string_view kTimeoutsSetting = "ipvs-timeouts";

std::string setting_text(const Timeouts& timeouts);
std::optional<Timeouts> parse_timeouts(const std::string& text);

class SettingRecord {
 public:
  // The file is `directory`/settings-NUMBER (ipvs/host/run_file.hpp). An empty `directory`: none.
  SettingRecord(const std::string& directory, std::string kernel_and_namespace);

  // In the order in which they were changed.
  std::vector<ChangedSetting> read() const;
  // Before `name` is changed from `before` to `set`. The result is what was noted of it until then.
  std::optional<ChangedSetting> note(const std::string& name, const std::string& before,
                                     const std::string& set);
  // It has the value that it had before us.
  void forget(const std::string& name);
  // Deletes the file.
  void remove();
  // Why the file could not be written; empty: it could.
  const std::string& fault() const { return fault_; }

 private:
  void write(const std::vector<ChangedSetting>& settings);

  const std::string kernel_and_namespace_;
  RunFile file_;
  std::string fault_;
};

}  // namespace ipvs
