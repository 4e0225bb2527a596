// SPDX-License-Identifier: Apache-2.0
//
// Removes everything of ours from the kernel, or says what it would remove. In the order in which a
// Service is removed: addresses, virtual servers, table; then our rules in chains of others, and
// host settings. The record of what is ours goes last, and only if all that it names is gone.
//
// Beside kube-proxy's ipvs mode, which has the same device, only what we made is ours:
//
//   our record, or our whole table   what they name; other addresses of the device stay
//   neither                          nothing of IPVS and the device: it was handed over, or never ours
//
// A handover leaves the rules that masquerade, and those that accept what is forwarded, until
// kube-proxy has its own. Without those that masquerade the kernel stops to track connections if
// nobody else asks it to, and every masqueraded one breaks.
//
// Threading: not thread-safe; calls block.
// Errors: a step that fails is in the report, and the others are done all the same.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ipvs/host/device.hpp"
#include "ipvs/host/notes_file.hpp"
#include "ipvs/host/own_record_file.hpp"
#include "ipvs/host/sysctl.hpp"
#include "ipvs/nftables/client.hpp"
#include "ipvs/nftables/forward_chains.hpp"
#include "ipvs/state/cleanup.hpp"
#include "ipvs/virtual_servers/client.hpp"

namespace ipvs {

// What of kube-proxy's ipvs mode is here, as far as it can be read.
struct KubeProxyPresence {
  bool has_sets = false;  // which no other mode makes, and no other program
  std::set<Family> masquerades{};
};

class Cleanup {
 public:
  struct Parts {
    std::optional<IpvsClient>& ipvs;
    std::optional<Device>& device;
    std::optional<NftClient>& table;
    std::optional<ForwardChains>& forward_chains;
    OwnRecordFile& record;
    NotesFile& notes;
    const Sysctls& sysctls;
    const std::vector<Network>& excluded;  // see OwnServers
    KubeProxyPresence kube_proxy{};
  };

  Cleanup(const Parts& parts, const CleanupRequest& request) : parts_(parts), request_(request) {}

  CleanupReport run();

 private:
  using Verb = CleanupStep::Verb;

  void read();
  void read_table();
  bool is_kube_proxys() const;
  bool kube_proxy_masquerades() const;
  bool waits_for_kube_proxy() const;
  void remove_device();
  void unbind_ours();
  void move_routes();
  void remove_servers();
  void remove_table();
  void keep_masquerading();
  void withdraw_rules();
  void restore_settings();
  void restore(const ChangedSetting& setting);
  Result<bool> restore_timeouts(const ChangedSetting& setting);
  void forget();

  // Enters the step, and does it unless this is a dry run.
  template <typename Action>
  void step(Verb verb, std::string what, const Action& action);
  void fault(const KernelError& error) { report_.faults.push_back(error); }

  const Parts parts_;
  const CleanupRequest request_;
  CleanupReport report_;
  std::vector<Element> elements_;  // of our table
  std::vector<Address> addresses_;
  std::optional<std::vector<ServerKey>> recorded_;
  bool has_table_ = false;
  bool table_is_whole_ = false;
};

}  // namespace ipvs
