// SPDX-License-Identifier: Apache-2.0
#include "agent/report/sync_reporter.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "agent/log/log.hpp"
#include "agent/report/process_stats.hpp"

namespace agent {
namespace {

double seconds(std::chrono::nanoseconds d) { return std::chrono::duration<double>(d).count(); }

// "4.0ms", as Go writes durations.
std::string milliseconds_text(double seconds_passed) {
  return fmt::format("{:.1f}ms", seconds_passed * 1000);
}

Fields about(const ipvs::Owner& service) {
  Fields fields;
  if (!service.empty()) fields.emplace_back("service", object_name(service));
  return fields;
}

void set_member(std::set<ipvs::Owner>& services, const ipvs::Owner& service, bool is_one) {
  if (is_one) {
    services.insert(service);
  } else {
    services.erase(service);
  }
}

}  // namespace

SyncReporter::SyncReporter(ClusterState& cluster, HealthCheckPorts& health_checks,
                           ServiceReporter& services, Metrics& metrics, k8s::UnixSeconds started)
    : cluster_(cluster),
      health_checks_(health_checks),
      services_(services),
      metrics_(metrics),
      started_(started) {}

void SyncReporter::service_changed() {
  ++pending_service_changes_;
  metrics_.service_changed();
}

void SyncReporter::endpoint_changed() {
  ++pending_endpoint_changes_;
  metrics_.endpoint_changed();
}

void SyncReporter::on_planned(const ipvs::Owner& service,
                              const std::optional<PlannedService>& planned) {
  if (!planned) services_.forget(service);
  plan_digest_.set(service, planned ? planned->digest : std::nullopt, PlanDigest::Moment::now());
  note_endpoints(service, planned);
  note_health_check(service);
  note_triggers(service);
  note_local(service, planned ? planned->lacks_local : std::array<LacksLocal, 2>{});
  stood_.clear();
  if (const auto stood = standing_.find(service); stood != standing_.end()) {
    stood_ = std::move(stood->second);
    standing_.erase(stood);
  }
  if (planned) report_notices(service, planned->notices);
}

void SyncReporter::stand(const ipvs::Owner& service, const std::string& reason,
                         const std::string& note) {
  const auto known = std::find_if(stood_.begin(), stood_.end(), [&](const StandingNotice& each) {
    return each.reason == reason && each.note == note;
  });
  const auto since = known == stood_.end() ? WallClock::now() : known->since;
  standing_[service].push_back({.reason = reason, .note = note, .since = since});
}

// Reports once when a Service has no endpoint to send traffic to, for example because its selector
// matches nothing, and once when it has one again.
void SyncReporter::note_endpoints(const ipvs::Owner& service,
                                  const std::optional<PlannedService>& planned) {
  const auto has_none = [](const ipvs::Server& server) { return server.destinations.empty(); };
  const bool empty =
      planned && !planned->is_lingering && !planned->plan.servers.empty() &&
      std::all_of(planned->plan.servers.begin(), planned->plan.servers.end(), has_none);
  if (empty && without_endpoints_.insert(service).second) {
    log_info("No endpoint is ready: connections are refused", about(service));
  } else if (!empty && without_endpoints_.erase(service) > 0 && planned) {
    log_info("Has endpoints again", about(service));
  }
}

void SyncReporter::note_health_check(const ipvs::Owner& service) {
  const k8s::ObjectKey key = service_key(service);
  const auto check = cluster_.health_check(key);
  if (check || health_checks_.has(key) || planned_health_checks_.contains(key)) {
    planned_health_checks_[key] = check;
  }
}

// Changes from before the start of this process are not counted: their delay is not its own.
void SyncReporter::note_triggers(const ipvs::Owner& service) {
  for (const Trigger& trigger : cluster_.take_triggers(service)) {
    if (trigger.time >= started_) planned_triggers_.push_back(trigger);
  }
}

void SyncReporter::note_local(const ipvs::Owner& service, const std::array<LacksLocal, 2>& lacks) {
  for (std::size_t family = 0; family < lacks.size(); ++family) {
    set_member(without_local_[family].internal, service, lacks[family].internal);
    set_member(without_local_[family].external, service, lacks[family].external);
  }
}

// Other clocks than this node's say when it began: none began after now, or before this process did.
void SyncReporter::observe_triggers() {
  const double age = seconds(std::chrono::steady_clock::now() - begun_);
  for (const Trigger& trigger : std::exchange(planned_triggers_, {})) {
    const double passed = seconds(last_sync_ - WallClock::from_time_t(trigger.time));
    const double latency = std::clamp(passed, 0.0, age);
    if (trigger.ipv4) metrics_.programming_latency(ipvs::Family::kIpv4, latency);
    if (trigger.ipv6) metrics_.programming_latency(ipvs::Family::kIpv6, latency);
  }
}

void SyncReporter::report_notices(const ipvs::Owner& service, const std::vector<Notice>& notices) {
  for (const Notice& notice : notices) {
    stand(service, text_of(notice.reason), notice.note);
    const bool first = services_.warn(service, text_of(notice.reason), "Program", notice.note);
    if (first && notice.reason == NoticeReason::kAddressRefused) metrics_.address_refused();
  }
}

void SyncReporter::on_pass(const PassReport& report) {
  last_sync_ = WallClock::now();
  pending_service_changes_ = 0;
  pending_endpoint_changes_ = 0;
  health_checks_.update(std::exchange(planned_health_checks_, {}));
  metrics_.serves_ipv6(cluster_.has_ipv6());
  observe_triggers();
  metrics_.pass(report.total_seconds, report.planning_seconds, report.kernel_seconds,
                report.operations, seconds(last_sync_.time_since_epoch()));
  if (report.first) {
    plan_digest_.complete(PlanDigest::Moment::now());
    report_first(report);
  } else if (is_on(2)) {
    log_verbose(2, "Sync done",
                {{"services", report.services},
                 {"operations", report.operations},
                 {"failed", report.failed},
                 {"duration", milliseconds_text(report.total_seconds)}});
  }
}

void SyncReporter::report_first(const PassReport& report) {
  services_.release_events();
  // Memory use peaks with the first lists and the first batch: return what is free to the system.
  ::malloc_trim(0);
  log_info("Table complete", {{"services", report.services},
                              {"operations", report.operations},
                              {"failed", report.failed},
                              {"duration", milliseconds_text(report.total_seconds)},
                              {"virtualServers", report.held_servers},
                              {"destinations", report.held_destinations},
                              {"addresses", report.held_addresses},
                              {"foreign", report.foreign_servers}});
  const auto since_start = [this](auto time) { return seconds(time - begun_); };
  // Before this object: the program was loaded, and the kernel prepared, which loads its modules.
  const double preparing =
      read_process_stats().age_seconds - since_start(std::chrono::steady_clock::now());
  log_info("Start taken apart", {{"preparing", milliseconds_text(preparing)},
                                 {"lists", milliseconds_text(since_start(report.lists_ready))},
                                 {"reading", milliseconds_text(report.reading_seconds)},
                                 {"planning", milliseconds_text(report.planning_seconds)},
                                 {"table", milliseconds_text(report.table_seconds)},
                                 {"elements", milliseconds_text(report.kernel.elements)},
                                 {"virtualServers", milliseconds_text(report.kernel.servers)},
                                 {"destinations", milliseconds_text(report.kernel.destinations)},
                                 {"addresses", milliseconds_text(report.kernel.addresses)}});
}

// Logged when it happens first; if the object itself is to blame, an Event follows when it was tried
// again in vain. Health and /conditions show what goes on.
void SyncReporter::on_failure(const ipvs::Failure& failure, Remedy remedy) {
  metrics_.kernel_error(failure.command, failure.error_number);
  note_refused_rules(failure);
  if (remedy == Remedy::kDefaultScheduler) return;  // a notice of the Service reports it
  Fields fields = about(failure.owner);
  fields.emplace_back(kErr, failure.text());
  if (failure.tries == 1) {
    log_warning("Kernel operation failed: trying again", std::move(fields));
  } else if (failure.tries == 2 && failure.blame == ipvs::Blame::kObject &&
             !failure.owner.empty()) {
    services_.warn(failure.owner, "KernelRefused", "Program",
                   failure.text() + ": not served there; tried again ever more rarely");
  } else {
    fields.emplace_back("tries", failure.tries);
    log_verbose(4, "Kernel operation failed again", std::move(fields));
  }
}

// A batch that the kernel refuses counts once per pass, however many elements it names.
void SyncReporter::note_refused_rules(const ipvs::Failure& failure) {
  const auto* element = std::get_if<ipvs::Element>(&failure.key);
  if (!element && failure.command != "NEWTABLE") return;
  constexpr std::array kFamilies{ipvs::Family::kIpv4, ipvs::Family::kIpv6};
  for (const ipvs::Family family : kFamilies) {
    if (element && ipvs::family_of(element->address) != family) continue;
    if (!std::exchange(refused_rules_[index_of(family)], true)) metrics_.rules_refused(family);
  }
}

void SyncReporter::on_failure_over(const ipvs::Failure& failure) {
  if (failure.tries == 1) return;
  Fields fields = about(failure.owner);
  fields.emplace_back("operation", failure.what);
  fields.emplace_back("tries", failure.tries);
  log_info("Kernel operation not refused any more", std::move(fields));
}

// Each planning of the Service reports the same conflict again.
void SyncReporter::on_conflict(const Reconciler::Conflict& conflict) {
  std::string holder = "a virtual server that is not ours";
  if (conflict.reason == ConflictReason::kOtherService) holder = "Service " + conflict.holder;
  if (conflict.reason == ConflictReason::kLeftServer) {
    holder = "a virtual server that kube-proxy left (--takeover=auto takes it over)";
  }
  const std::string note = conflict.key.text() + " is taken by " + holder + ": not served there";
  stand(conflict.owner, "AddressTaken", note);
  const bool first = services_.warn(conflict.owner, "AddressTaken", "Claim", note);
  if (first) metrics_.conflict();
}

void SyncReporter::on_departures(const Departures& departures) {
  for (const auto& [of, count] : departures.cut) {
    const auto& [service, cause] = of;
    metrics_.connections_cut(service_key(service), label_of(cause), count);
    Fields fields = about(service);
    fields.emplace_back("connections", count);
    fields.emplace_back("cause", text_of(cause));
    log_info("Connections cut", std::move(fields));
  }
  for (const auto& [service, count] : departures.drained) {
    metrics_.connections_drained(service_key(service), count);
  }
}

void SyncReporter::on_flows_forgotten(ipvs::Family family, std::size_t flows, double seconds) {
  metrics_.flows_forgotten(family, flows, seconds);
}

void SyncReporter::on_taken_over(const ipvs::Owner& service, const ipvs::ServerKey& server) {
  metrics_.taken_over();
  services_.warn(service, "VirtualServerTakenOver", "Claim",
                 server.text() +
                     " was left in the kernel by another program, as kube-proxy leaves them: " +
                     (only_plans_ ? "would be taken over" : "taken over"));
}

void SyncReporter::on_drift(const std::string& kind, std::size_t count, const std::string& what) {
  metrics_.drift(kind, count);
  repaired_ += count;
  if (!what.empty()) {
    log_warning("Kernel state changed by somebody else", {{"kind", kind}, {"what", what}});
  }
}

void SyncReporter::on_waiting(const std::string& what) {
  log_warning("Waiting for the kernel: trying again", {{kErr, what}});
}

}  // namespace agent
