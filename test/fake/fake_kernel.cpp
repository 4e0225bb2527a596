// SPDX-License-Identifier: Apache-2.0
#include "test/fake/fake_kernel.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ipvs/state/networks.hpp"

namespace fake {
namespace {

using namespace ipvs;

Element service_ip(const ServerKey& key) {
  return {.kind = ElementKind::kServiceIp,
          .address = key.address,
          .protocol = key.protocol,
          .port = key.port};
}

ServerReading reading_of(const Server& server,
                         const std::map<std::pair<ServerKey, Endpoint>, std::uint32_t>& active) {
  ServerReading reading{.settings = server.settings};
  for (const Destination& destination : server.destinations) {
    DestinationReading d{.destination = destination};
    const auto found = active.find({server.settings.key, destination.endpoint});
    if (found != active.end()) d.active_connections = found->second;
    reading.destinations.push_back(d);
  }
  return reading;
}

// A set of ranges refuses one that begins or ends within another (nft_set_pipapo.c).
bool overlaps_another(const std::set<Element, ElementKeyLess>& elements, const Element& added) {
  if (added.kind != ElementKind::kAllowedSource) return false;
  const Address first = added.source_network.address;
  const Address last = last_address(first, added.source_network.prefix_length);
  return std::any_of(elements.begin(), elements.end(), [&](const Element& e) {
    return e.kind == added.kind && e.address == added.address && e.protocol == added.protocol &&
           e.port == added.port && !e.same_key(added) &&
           (is_in(first, e.source_network.address, e.source_network.prefix_length) ||
            is_in(last, e.source_network.address, e.source_network.prefix_length));
  });
}

}  // namespace

std::optional<int> FakeKernel::planned_failure() {
  ++operations;
  const auto found = fail_at_.find(operations);
  if (found == fail_at_.end()) return std::nullopt;
  return found->second;
}

Result<HostFacts> FakeKernel::prepare(const HostSettings& settings) {
  prepared = settings;
  if (prepare_error != 0) return KernelError{prepare_error, "preparing the kernel"};
  return HostFacts{};
}

void FakeKernel::delete_device() {
  device_deleted_ = true;
  addresses.clear();
}

HostCheck FakeKernel::check_device() {
  if (!std::exchange(device_deleted_, false)) return {};
  return {.repairs = {{"link", "kube-ipvs0 was deleted: made again"}}, .faults = {}};
}

HostCheck FakeKernel::check_settings() {
  return {.repairs = std::exchange(changed_settings, {}), .faults = {}};
}

Result<std::size_t> FakeKernel::count_ipv4_servers() {
  const auto count = std::count_if(servers.begin(), servers.end(),
                                   [](const auto& each) { return each.first.address.is_v4(); });
  return {boost::system::in_place_value, static_cast<std::size_t>(count)};
}

Result<void> FakeKernel::probe_scheduler(const std::string& scheduler) {
  probed_schedulers.push_back(scheduler);
  if (absent_schedulers.contains(scheduler)) return KernelError{ENOENT, "scheduler " + scheduler};
  return {};
}

Result<Observed> FakeKernel::observe() {
  if (observe_error != 0)
    return KernelError{observe_error, "reading virtual servers (GET_SERVICE)"};
  Observed observed;
  for (const auto& [key, server] : servers) observed.servers.push_back(server);
  observed.addresses.assign(addresses.begin(), addresses.end());
  observed.elements.assign(elements.begin(), elements.end());
  observed.table_present = table_present;
  if (record) observed.recorded.emplace(record->begin(), record->end());
  observed.not_masqueraded = not_masqueraded;
  observed.excluded = excluded;
  observed.has_kube_proxy_chains = !kube_proxy_chains.empty();
  return observed;
}

bool FakeKernel::protected_by_elements(const ServerKey& key) const {
  if (elements.contains(service_ip(key))) return true;
  return elements.contains(
             {.kind = ElementKind::kNodePort, .protocol = key.protocol, .port = key.port}) &&
         elements.contains({.kind = ElementKind::kNodeAddress, .address = key.address});
}

Result<void> FakeKernel::record_own(std::span<const ServerKey> keys) {
  if (record_error != 0) return KernelError{record_error, "writing the record"};
  record.emplace(keys.begin(), keys.end());
  return {};
}

Result<void> FakeKernel::check_record() {
  if (record_error != 0) return KernelError{record_error, "writing the record"};
  return {};
}

ipvs::Result<std::string> FakeKernel::choose_binding(std::size_t vips) {
  if (binding_error != 0) return KernelError{binding_error, "moving virtual IPs"};
  binding_chosen_for = vips;
  return std::string();
}

void FakeKernel::write_notes(std::span<const Note> changed) {
  for (const Note& note : changed) {
    if (note.value) {
      notes[note.key] = *note.value;
    } else {
      notes.erase(note.key);
    }
  }
}

// What is not ours by its outcome leaves the record again (ipvs/host/own_record_file.cpp).
void FakeKernel::enter_in_record(const ServerOp& op, bool was_recorded, int error) {
  if (!record) return;
  const bool makes = op.command <= ServerCommand::kSetService;
  if (makes && (error <= 0 || was_recorded)) record->insert(op.server.key);
  const bool gone = error == 0 || error == ESRCH;
  if (op.command == ServerCommand::kDelService && gone) record->erase(op.server.key);
}

std::vector<int> FakeKernel::change_servers(std::span<const ServerOp> ops) {
  std::vector<int> results;
  for (const ServerOp& op : ops) {
    int error = 0;
    const bool was_recorded = record && record->contains(op.server.key);
    if (const auto planned = planned_failure()) {
      error = *planned;
    } else {
      error = try_server(op);
      if (error == 0 && loses_reply()) error = kUnknownOutcome;
    }
    enter_in_record(op, was_recorded, error);
    std::string line = std::string(name_of(op.command)) + " " + op.server.key.text();
    if (op.command >= ServerCommand::kNewDest) {
      line += " " + op.destination.endpoint.text();
      if (op.command != ServerCommand::kDelDest)
        line += " w" + std::to_string(op.destination.weight);
    } else if (op.command != ServerCommand::kDelService) {
      line += " " + op.server.scheduler;
    }
    if (error != 0)
      line += error == kUnknownOutcome ? " = ?" : std::string(" = ") + strerrorname_np(error);
    log.push_back(std::move(line));
    results.push_back(error);
  }
  return results;
}

int FakeKernel::try_server(const ServerOp& op) {
  const ServerKey& key = op.server.key;
  const auto found = servers.find(key);
  switch (op.command) {
    case ServerCommand::kNewService:
      if (found != servers.end()) return EEXIST;
      if (absent_schedulers.contains(op.server.scheduler)) return ENOENT;
      if (!protected_by_elements(key)) violations.push_back("unprotected " + key.text());
      servers[key] = {.settings = op.server};
      return 0;
    case ServerCommand::kSetService:
      if (found == servers.end()) return ESRCH;
      if (absent_schedulers.contains(op.server.scheduler)) return ENOENT;
      found->second.settings = op.server;
      return 0;
    case ServerCommand::kDelService:
      if (found == servers.end()) return ESRCH;
      servers.erase(found);
      return 0;
    default:
      return found == servers.end() ? ESRCH : try_destination(op);
  }
}

int FakeKernel::try_destination(const ServerOp& op) {
  auto& destinations = servers[op.server.key].destinations;
  const auto place =
      std::lower_bound(destinations.begin(), destinations.end(), op.destination.endpoint,
                       [](const Destination& d, const Endpoint& e) { return d.endpoint < e; });
  const bool there = place != destinations.end() && place->endpoint == op.destination.endpoint;
  switch (op.command) {
    case ServerCommand::kNewDest:
      if (there) return EEXIST;
      destinations.insert(place, op.destination);
      return 0;
    case ServerCommand::kSetDest:
      if (!there) return ENOENT;
      *place = op.destination;
      return 0;
    default:
      if (!there) return ENOENT;
      destinations.erase(place);
      return 0;
  }
}

std::vector<int> FakeKernel::change_addresses(std::span<const AddressOp> ops) {
  std::vector<int> results;
  for (const AddressOp& op : ops) {
    int error = 0;
    if (const auto planned = planned_failure()) {
      error = *planned;
    } else if (device_deleted_ && !op.add) {
      error = ENODEV;
    } else if (op.add) {
      device_deleted_ = false;  // as Device::change() makes it again
      if (!elements.contains({.kind = ElementKind::kVirtualIp, .address = op.address})) {
        violations.push_back("bound unprotected " + op.address.to_string());
      }
      error = addresses.insert(op.address).second ? 0 : EEXIST;
    } else {
      error = addresses.erase(op.address) > 0 ? 0 : EADDRNOTAVAIL;
    }
    if (error == 0 && loses_reply()) error = kUnknownOutcome;
    log.push_back((op.add ? "bind " : "unbind ") + op.address.to_string());
    results.push_back(error);
  }
  return results;
}

int FakeKernel::change_elements(std::span<const ElementOp> ops) {
  if (!table_present) return ENOENT;
  auto next = elements;
  for (const ElementOp& op : ops) {
    if (const auto planned = planned_failure()) return *planned;
    if (op.add && table_rules && !table_rules->sets.contains(op.element)) return EAGAIN;
    if (op.add) {
      if (overlaps_another(next, op.element)) return EEXIST;
      if (!next.insert(op.element).second) return EEXIST;
    } else {
      const auto held = next.find(op.element);
      const bool is_there = held != next.end() && set_of_class(*held) == set_of_class(op.element);
      if (!is_there) return ENOENT;
      next.erase(held);
    }
  }
  for (const ElementOp& op : ops) log.push_back((op.add ? "+ " : "- ") + op.element.text());
  for (const ElementOp& op : ops) {
    const bool exposed = !op.add && op.element.kind == ElementKind::kVirtualIp &&
                         !next.contains(op.element) && addresses.contains(op.element.address);
    if (exposed) violations.push_back("exposed " + op.element.address.to_string());
  }
  elements = std::move(next);
  return 0;
}

int FakeKernel::install_table(const TableRules& rules, std::span<const Element> wanted) {
  if (install_error != 0) return install_error;
  std::set<Element, ElementKeyLess> next;
  for (const Element& element : wanted) {
    if (overlaps_another(next, element)) return EEXIST;
    next.insert(element);
  }
  elements = std::move(next);
  table_rules = rules;
  table_present = true;
  check_rules();
  log.push_back("install table of " + std::to_string(wanted.size()));
  return 0;
}

void FakeKernel::check_rules() {
  for (const Element& element : elements) {
    if (!table_rules->sets.contains(element))
      violations.push_back("no rule reads " + element.text());
  }
}

int FakeKernel::replace_rules(const TableRules& rules) {
  if (replace_error != 0) return replace_error;
  if (!table_present) return ENOENT;
  table_rules = rules;
  check_rules();
  log.push_back("replace rules");
  return 0;
}

Result<std::optional<ServerReading>> FakeKernel::read_server(const ServerKey& key) {
  const auto found = servers.find(key);
  if (found == servers.end()) return std::optional<ServerReading>{};
  return std::optional(reading_of(found->second, active_connections));
}

Result<std::vector<ServerReading>> FakeKernel::read_servers(std::span<const ServerKey> keys) {
  std::vector<ServerReading> readings;
  for (const ServerKey& key : keys) {
    const auto found = servers.find(key);
    if (found != servers.end()) readings.push_back(reading_of(found->second, active_connections));
  }
  return readings;
}

Result<std::vector<ServerReading>> FakeKernel::read_counters(std::span<const ServerKey> keys) {
  std::vector<ServerReading> readings;
  for (const ServerKey& key : keys) {
    const auto found = servers.find(key);
    if (found == servers.end()) continue;
    readings.push_back(reading_of(found->second, active_connections));
    readings.back().destinations.clear();
  }
  return readings;
}

Result<std::vector<ServerReading>> FakeKernel::read_destinations(std::span<const ServerKey> keys) {
  std::vector<ServerReading> readings;
  for (const ServerKey& key : keys) {
    ServerReading reading{.settings = {.key = key}};
    const auto found = servers.find(key);
    if (found != servers.end()) {
      reading.destinations = reading_of(found->second, active_connections).destinations;
    }
    readings.push_back(std::move(reading));
  }
  return readings;
}

Result<std::vector<Address>> FakeKernel::read_addresses() {
  if (addresses_error != 0) {
    return KernelError{addresses_error, "reading the addresses of kube-ipvs0"};
  }
  return std::vector<Address>(addresses.begin(), addresses.end());
}

Result<std::vector<Element>> FakeKernel::read_elements() {
  if (!table_present) return KernelError{ENOENT, "reading the nftables table kube-ipvs"};
  return std::vector<Element>(elements.begin(), elements.end());
}

Result<std::size_t> FakeKernel::delete_flows(std::span<const StaleFlow> flows) {
  deleted_flows.insert(deleted_flows.end(), flows.begin(), flows.end());
  return Result<std::size_t>(boost::system::in_place_value, flows.size());
}

Result<std::vector<LocalAddress>> FakeKernel::read_local_addresses() { return local_addresses; }
Result<std::vector<Address>> FakeKernel::read_gateways() { return gateways; }
Result<std::vector<ForwardChain>> FakeKernel::read_forward_chains() { return forward_chains; }

int FakeKernel::accept_replies(const ForwardChain& chain) {
  for (ForwardChain& known : forward_chains) {
    if (known.text() == chain.text()) known.our_rules = {1};
  }
  return chain.legacy ? EOPNOTSUPP : 0;
}

int FakeKernel::withdraw(const ForwardChain& chain) {
  for (ForwardChain& known : forward_chains) {
    if (known.text() == chain.text()) known.our_rules.clear();
  }
  return 0;
}

// An eventfd that is readable while there are events.
struct FakeKernel::Notifications {
  int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  KernelEvents pending;
  Notifications() = default;
  ~Notifications() { ::close(fd); }
  Notifications(const Notifications&) = delete;
  Notifications& operator=(const Notifications&) = delete;
};

Result<std::vector<std::unique_ptr<KernelMonitor>>> FakeKernel::open_monitors() {
  class Monitor : public KernelMonitor {
   public:
    explicit Monitor(std::shared_ptr<Notifications> notifications)
        : notifications_(std::move(notifications)) {}
    int fd() const override { return notifications_->fd; }
    KernelEvents drain() override {
      eventfd_t ignored = 0;
      ::eventfd_read(notifications_->fd, &ignored);
      return std::exchange(notifications_->pending, {});
    }

   private:
    std::shared_ptr<Notifications> notifications_;
  };
  notifications_ = std::make_shared<Notifications>();
  std::vector<std::unique_ptr<KernelMonitor>> monitors;
  monitors.push_back(std::make_unique<Monitor>(notifications_));
  return monitors;
}

void FakeKernel::notify(const KernelEvents& events) {
  if (!notifications_) return;
  KernelEvents& pending = notifications_->pending;  // of what nobody has read yet, nothing is lost
  pending.node_addresses |= events.node_addresses;
  pending.device |= events.device;
  pending.vips.insert(pending.vips.end(), events.vips.begin(), events.vips.end());
  pending.settings |= events.settings;
  pending.our_table |= events.our_table;
  pending.forwarding |= events.forwarding;
  ::eventfd_write(notifications_->fd, 1);
}

Result<std::vector<KubeProxyChains>> FakeKernel::read_kube_proxy_chains() {
  return kube_proxy_chains;
}

// A table keeps the chains that were not asked for.
Result<RemovedChains> FakeKernel::remove_kube_proxy_chains(const KubeProxyChains& chains) {
  for (KubeProxyChains& each : kube_proxy_chains) {
    if (each.table_text() != chains.table_text()) continue;
    std::erase_if(each.names, [&](const std::string& name) {
      return std::find(chains.names.begin(), chains.names.end(), name) != chains.names.end();
    });
  }
  std::erase_if(kube_proxy_chains, [](const auto& each) { return each.names.empty(); });
  return RemovedChains{.deleted = chains.names, .kept = {}};
}

Result<std::vector<std::string>> FakeKernel::read_kube_proxy_sets() {
  return std::vector<std::string>(kube_proxy_sets.begin(), kube_proxy_sets.end());
}

std::vector<int> FakeKernel::remove_kube_proxy_sets(std::span<const std::string> names) {
  std::vector<int> outcomes;
  for (const std::string& name : names) {
    if (sets_in_use > 0) {
      outcomes.push_back(EBUSY);
    } else {
      outcomes.push_back(kube_proxy_sets.erase(name) == 1 ? 0 : ENOENT);
    }
  }
  if (sets_in_use > 0) --sets_in_use;
  return outcomes;
}

CleanupReport FakeKernel::cleanup(const CleanupRequest& request) {
  if (request.dry_run || request.handover) return {};
  record.reset();
  notes.clear();
  servers.clear();
  addresses.clear();
  elements.clear();
  table_present = false;
  return {};
}

}  // namespace fake
