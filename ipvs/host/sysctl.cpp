// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/sysctl.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

namespace ipvs {
namespace {

using When = SysctlRule::When;
using Effort = SysctlRule::Effort;

// run_estimation is deliberately not set: we do not read the rates that it turns on, but others
// may.
constexpr SysctlRule kRules[] = {
    {.key = "net/ipv4/vs/conntrack",
     .value = "1",
     .reason = "nftables masquerades only what conntrack sees"},
    // On these kernels, 1 delays a connection that reuses a client's port by a second (the SYN is
    // dropped while the old conntrack entry is deleted); 0 may send it to a destination of weight
    // 0. From 5.9 on, 1 has neither fault, so the setting is left alone.
    {.key = "net/ipv4/vs/conn_reuse_mode",
     .value = "0",
     .from = {4, 1},
     .before = {5, 9},
     .reason = "otherwise a connection that reuses a client port waits a second"},
    {.key = "net/ipv4/vs/expire_nodest_conn",
     .value = "1",
     .reason = "connections to a deleted endpoint end at once"},
    {.key = "net/ipv4/vs/expire_quiescent_template",
     .value = "1",
     .reason = "session affinity does not keep clients on an endpoint of weight 0"},
    {.key = "net/ipv4/ip_forward", .value = "1", .reason = "packets are forwarded to pods"},
    // Setting it would turn off router advertisements, from which the node may have its own default
    // route.
    {.key = "net/ipv6/conf/all/forwarding",
     .value = "1",
     .effort = Effort::kReportOnly,
     .reason = "packets are forwarded to pods; set it in the node's network configuration"},
    {.key = "net/ipv4/conf/all/arp_ignore",
     .value = "1",
     .when = When::kStrictArp,
     .reason = "strict ARP"},
    {.key = "net/ipv4/conf/all/arp_announce",
     .value = "2",
     .when = When::kStrictArp,
     .reason = "strict ARP"},
};

// A required setting that is not right.
struct Refusal {
  KernelError error;    // on its own
  std::string in_list;  // among others
};

// Applies one rule. An error only if the rule is required.
std::optional<Refusal> carry_out(const Sysctls& sysctls, const SysctlRule& rule,
                                 SysctlReport& report) {
  const std::string key = rule.key;
  const auto found = sysctls.read(key);
  if (found && *found == rule.value) return std::nullopt;
  const std::string should = " but should be " + std::string(rule.value) + ": " + rule.reason;
  if (rule.effort == Effort::kReportOnly) {
    // Without IPv6 there is nothing to forward (Kernel::why_no_ipv6()).
    const bool is_v6 = key.starts_with("net/ipv6/");
    if (is_v6 && !found && found.error().error_number == ENOENT) return std::nullopt;
    report.warnings.push_back(key + (found ? " is " + *found : " cannot be read") + should);
    return std::nullopt;
  }
  const std::string needed = ", which is needed: " + std::string(rule.reason);
  if (!found) {
    const int error = found.error().error_number;
    return Refusal{{error, found.error().what + needed}, key + " (" + ::strerror(error) + ")"};
  }
  const auto written = sysctls.write(key, rule.value);
  if (!written) {
    const int error = written.error().error_number;
    return Refusal{
        {error, written.error().what + needed + "; make /proc/sys writable or set it on the host"},
        key + " is " + *found + should + " (" + ::strerror(error) + ")"};
  }
  report.changes.push_back(key + ": " + *found + " -> " + rule.value);
  return std::nullopt;
}

// One error for all of them, so that the operator learns of each at once.
KernelError error_of(const std::vector<Refusal>& refusals) {
  if (refusals.size() == 1) return refusals.front().error;
  std::string what = std::to_string(refusals.size()) + " sysctls cannot be set: ";
  for (const Refusal& refusal : refusals) what += refusal.in_list + "; ";
  return {refusals.front().error.error_number,
          what + "make /proc/sys writable or set them on the host"};
}

// What was set by a rule that does not apply any more: strict ARP, after a start without it.
void restore_unneeded(const Sysctls& sysctls, const HostSettings& settings, KernelVersion version,
                      SysctlReport& report) {
  for (const ChangedSetting& changed : sysctls.changed()) {
    const auto is_unneeded = [&](const SysctlRule& rule) {
      return changed.name == rule.key && !applies(rule, settings, version);
    };
    if (std::none_of(std::begin(kRules), std::end(kRules), is_unneeded)) continue;
    const auto restored = sysctls.restore(changed);
    if (!restored) {
      report.warnings.push_back(restored.error().text() + ": it was to be " + changed.before +
                                " again");
    } else if (*restored) {
      report.changes.push_back(changed.name + ": " + changed.set + " -> " + changed.before +
                               ", as before kube-ipvs");
    }
  }
}

}  // namespace

KernelVersion parse_kernel_version(const std::string& release) {
  KernelVersion version;
  if (std::sscanf(release.c_str(), "%d.%d", &version.major, &version.minor) != 2) return {};
  return version;
}

KernelVersion running_kernel_version() {
  utsname names{};
  return ::uname(&names) == 0 ? parse_kernel_version(names.release) : KernelVersion{};
}

std::span<const SysctlRule> sysctl_rules() { return kRules; }

bool applies(const SysctlRule& rule, const HostSettings& settings, KernelVersion version) {
  if (version < rule.from || version >= rule.before) return false;
  switch (rule.when) {
    case When::kAlways:
      return true;
    case When::kStrictArp:
      return settings.strict_arp;
  }
  return false;
}

Result<std::string> Sysctls::read(const std::string& key) const {
  const int file = ::open((root_ + "/" + key).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return KernelError{errno, "reading the sysctl " + key};
  // The kernel gives a list of ports in one piece only: what does not fit would be lost.
  std::array<char, 16'384> buffer;
  const ssize_t size = ::read(file, buffer.data(), buffer.size());
  const int error = errno;
  ::close(file);
  if (size < 0) return KernelError{error, "reading the sysctl " + key};
  if (static_cast<std::size_t>(size) == buffer.size()) {
    return KernelError{EOVERFLOW, "reading the sysctl " + key};
  }
  std::string value(buffer.data(), static_cast<std::size_t>(size));
  while (!value.empty() && (value.back() == '\n' || value.back() == ' ')) value.pop_back();
  return {boost::system::in_place_value, std::move(value)};
}

Result<void> Sysctls::write(const std::string& key, const std::string& value) const {
  const auto before = read(key);
  if (record_ == nullptr || !before) return put(key, value);
  const auto earlier = record_->note(key, *before, value);
  auto written = put(key, value);
  if (written) return written;
  const auto now = read(key);
  if (!now || *now != *before) return written;
  // What was refused is not recorded as a change of ours.
  if (earlier) {
    record_->note(key, earlier->before, earlier->set);
  } else {
    record_->forget(key);
  }
  return written;
}

Result<bool> Sysctls::is_as_set(const ChangedSetting& setting) const {
  const auto now = read(setting.name);
  if (!now) return now.error();
  return yes_or_no(*now == setting.set);
}

Result<bool> Sysctls::restore(const ChangedSetting& setting) const {
  const auto as_set = is_as_set(setting);
  if (!as_set) return as_set.error();
  if (*as_set) {
    const auto written = put(setting.name, setting.before);
    if (!written) return written.error();
  }
  if (record_ != nullptr) record_->forget(setting.name);
  return yes_or_no(*as_set);
}

void Sysctls::forget_changes() const {
  if (record_ != nullptr) record_->remove();
}

std::vector<ChangedSetting> Sysctls::changed() const {
  return record_ != nullptr ? record_->read() : std::vector<ChangedSetting>();
}

Result<void> Sysctls::put(const std::string& key, const std::string& value) const {
  const std::string what = "setting the sysctl " + key + " to " + value;
  const int file = ::open((root_ + "/" + key).c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC);
  if (file < 0) return KernelError{errno, what};
  const std::string text =
      value.empty() ? "\n" : value;  // an empty list; writing nothing is nothing
  const ssize_t written = ::write(file, text.data(), text.size());
  const int error = errno;
  ::close(file);
  if (written != static_cast<ssize_t>(text.size()))
    return KernelError{written < 0 ? error : EIO, what};
  const auto now = read(key);
  if (!now) return now.error();
  if (*now != value) return KernelError{EINVAL, what + ": it stayed " + *now};
  return {};
}

Result<SysctlReport> set_sysctls(const Sysctls& sysctls, const HostSettings& settings,
                                 KernelVersion version) {
  SysctlReport report;
  std::vector<Refusal> refusals;
  for (const SysctlRule& rule : kRules) {
    if (!applies(rule, settings, version)) continue;
    if (auto refused = carry_out(sysctls, rule, report)) refusals.push_back(std::move(*refused));
  }
  if (!refusals.empty()) return error_of(refusals);
  restore_unneeded(sysctls, settings, version, report);
  return report;
}

}  // namespace ipvs
