// SPDX-License-Identifier: Apache-2.0
#include "ipvs/cleanup.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "ipvs/host/conntrack_limits.hpp"
#include "ipvs/ready.hpp"
#include "ipvs/state/own_servers.hpp"

namespace ipvs {
namespace {

std::string count_text(std::size_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

Result<void> outcome_of(int error, const std::string& what) {
  if (error == 0) return {};
  return KernelError{error, what};
}

}  // namespace

template <typename Action>
void Cleanup::step(Verb verb, std::string what, const Action& action) {
  if (!request_.dry_run) {
    const Result<void> done = action();
    if (!done) return fault(done.error());
  }
  report_.steps.push_back({verb, std::move(what)});
}

CleanupReport Cleanup::run() {
  read();
  if (request_.handover) {
    move_routes();
  } else if (is_kube_proxys()) {
    if (!addresses_.empty()) {
      report_.notes.push_back(std::string(kDeviceName) + " with " +
                              count_text(addresses_.size(), "virtual IP") +
                              " and its virtual servers are kube-proxy's, whose ipsets are here: "
                              "they stay");
    }
  } else {
    remove_device();
    remove_servers();
  }
  remove_table();
  withdraw_rules();
  restore_settings();
  forget();
  return std::move(report_);
}

void Cleanup::read() {
  recorded_ = parts_.record.read();
  read_table();
  const auto device = ready(parts_.device);
  if (!device) return fault(device.error());
  auto addresses = (*device)->read_all();
  if (!addresses) return fault(addresses.error());
  addresses_ = std::move(*addresses);
}

void Cleanup::read_table() {
  const auto table = ready(parts_.table);
  if (!table) return fault(table.error());
  const auto exists = (*table)->exists();
  if (!exists) return fault(exists.error());
  has_table_ = *exists;
  auto elements = (*table)->read_elements(table_is_whole_);
  if (!elements) return fault(elements.error());
  elements_ = std::move(*elements);
}

bool Cleanup::is_kube_proxys() const {
  return parts_.kube_proxy.has_sets && !recorded_ && !table_is_whole_;
}

// In every family in which we masquerade. kube-proxy writes its rules that accept forwarded packets
// together with these.
bool Cleanup::kube_proxy_masquerades() const {
  const auto& families = parts_.kube_proxy.masquerades;
  return std::all_of(elements_.begin(), elements_.end(),
                     [&](const Element& each) {
                       return each.kind != ElementKind::kServiceIp ||
                              families.contains(family_of(each.address));
                     }) &&
         !families.empty();
}

bool Cleanup::waits_for_kube_proxy() const {
  return request_.handover && !kube_proxy_masquerades();
}

void Cleanup::remove_device() {
  if (!parts_.device) return;
  const auto exists = parts_.device->exists();
  if (!exists) return fault(exists.error());
  if (!*exists) return;
  if (parts_.kube_proxy.has_sets) return unbind_ours();
  step(
      Verb::kRemove,
      std::string("device ") + kDeviceName + " with " + count_text(addresses_.size(), "virtual IP"),
      [this] { return parts_.device->remove(); });
}

// The others are kube-proxy's.
void Cleanup::unbind_ours() {
  const std::set<Address> ours = bound_by_us(recorded_, elements_);
  std::vector<Address> bound;
  std::copy_if(addresses_.begin(), addresses_.end(), std::back_inserter(bound),
               [&](const Address& each) { return ours.contains(each); });
  if (bound.empty()) return;
  step(Verb::kRemove, count_text(bound.size(), "virtual IP") + " of " + kDeviceName,
       [&] { return parts_.device->unbind(bound); });
}

// kube-proxy knows addresses only.
void Cleanup::move_routes() {
  if (!parts_.device) return;
  const auto routes = parts_.device->count_routes();
  if (!routes) return fault(routes.error());
  if (*routes == 0) return;
  step(Verb::kMove,
       count_text(*routes, "virtual IP") + " from routes to addresses of " + kDeviceName,
       [this]() -> Result<void> {
         const auto moved = parts_.device->prepare({.vip_binding = VipBinding::kAddress});
         if (!moved) return moved.error();
         return {};
       });
}

void Cleanup::remove_servers() {
  const auto ipvs = ready(parts_.ipvs);
  if (!ipvs && ipvs.error().error_number == ENOENT) return;  // no IPVS: none to remove
  if (!ipvs) return fault(ipvs.error());
  const auto found = (*ipvs)->read_configuration();
  if (!found) return fault(found.error());
  const OwnServers own(
      recorded_ ? std::optional<std::span<const ServerKey>>(*recorded_) : std::nullopt, elements_,
      addresses_, parts_.excluded);
  std::vector<ServerOp> ops;
  std::vector<std::string> texts;
  for (const Server& server : found->servers) {
    if (!own.contains(server.settings.key)) continue;
    ops.push_back(
        {.command = ServerCommand::kDelService, .server = server.settings, .destination = {}});
    texts.push_back("virtual server " + server.settings.key.text() + " with " +
                    count_text(server.destinations.size(), "endpoint"));
  }
  const std::vector<int> outcomes =
      request_.dry_run ? std::vector<int>(ops.size(), 0) : (*ipvs)->change_servers(ops);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (outcomes[i] == 0) {
      report_.steps.push_back({Verb::kRemove, std::move(texts[i])});
    } else if (outcomes[i] != ESRCH) {
      fault({outcomes[i], "removing " + ops[i].server.key.text() + " (DEL_SERVICE)"});
    }
  }
}

void Cleanup::remove_table() {
  if (!has_table_) return;
  if (waits_for_kube_proxy()) return keep_masquerading();
  step(Verb::kRemove,
       "nftables table inet kube-ipvs with " + count_text(elements_.size(), "set element"), [this] {
         const int error = parts_.table->delete_table();
         return outcome_of(error == ENOENT ? 0 : error, "deleting our nftables table");
       });
}

// A table that is not whole has nothing else any more, or is not as we made it.
void Cleanup::keep_masquerading() {
  step(
      Verb::kLeave,
      "nftables table inet kube-ipvs, with what masquerades alone, until kube-proxy has rules here",
      [this]() -> Result<void> {
        if (!table_is_whole_) return {};
        return outcome_of(parts_.table->keep_masquerading(), "reducing our nftables table");
      });
  report_.notes.emplace_back(
      "kube-proxy has no rules here yet: ours go on to masquerade. Run this again when it has its "
      "own, some seconds after its start");
}

void Cleanup::withdraw_rules() {
  const auto chains = ready(parts_.forward_chains);
  if (!chains) return fault(chains.error());
  const auto found = (*chains)->read();
  if (!found) return fault(found.error());
  for (const ForwardChain& chain : *found) {
    if (chain.our_rules.empty()) continue;
    if (waits_for_kube_proxy()) {
      report_.steps.push_back(
          {Verb::kLeave, "our rule in " + chain.text() + ", until kube-proxy has rules here"});
      continue;
    }
    step(Verb::kRemove, "our rule in " + chain.text(), [&] {
      return outcome_of((*chains)->withdraw(chain), "removing our rule from " + chain.text());
    });
  }
}

// After a handover all are kube-proxy's but this one, which it does not know.
void Cleanup::restore_settings() {
  for (const ChangedSetting& setting : parts_.sysctls.changed()) {
    if (!request_.handover || setting.name == kReservedPorts) restore(setting);
  }
}

void Cleanup::restore(const ChangedSetting& setting) {
  const bool is_timeouts = setting.name == kTimeoutsSetting;
  const std::string name = is_timeouts ? "the timeouts of IPVS" : "sysctl " + setting.name;
  const auto restored = is_timeouts        ? restore_timeouts(setting)
                        : request_.dry_run ? parts_.sysctls.is_as_set(setting)
                                           : parts_.sysctls.restore(setting);
  if (!restored && restored.error().error_number == ENOENT) return;  // its module is gone
  if (!restored) return fault(restored.error());
  if (*restored) {
    report_.steps.push_back(
        {Verb::kRestore, name + ": " + setting.set + " -> " +
                             (setting.before.empty() ? "(nothing)" : setting.before)});
  } else {
    report_.steps.push_back(
        {Verb::kLeave, name + " as it is: somebody else has changed it since we set it to " +
                           setting.set + " (before: " + setting.before + ")"});
  }
}

Result<bool> Cleanup::restore_timeouts(const ChangedSetting& setting) {
  const auto ipvs = ready(parts_.ipvs);
  if (!ipvs) return ipvs.error();
  const auto now = (*ipvs)->timeouts();
  if (!now) return now.error();
  const auto before = parse_timeouts(setting.before);
  if (setting_text(*now) != setting.set || !before) return yes_or_no(false);
  if (request_.dry_run) return yes_or_no(true);
  const auto written = (*ipvs)->set_timeouts(*before);
  if (!written) return written.error();
  return yes_or_no(true);
}

// What is not recorded as ours any more is left alone by the next cleanup.
void Cleanup::forget() {
  if (request_.dry_run || !report_.faults.empty()) return;
  parts_.sysctls.forget_changes();
  for (const auto& removed : {parts_.record.remove(), parts_.notes.remove()}) {
    if (!removed) fault(removed.error());
  }
}

}  // namespace ipvs
