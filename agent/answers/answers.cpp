// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/answers.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "agent/answers/drains.hpp"
#include "agent/answers/explain.hpp"
#include "agent/answers/lists.hpp"
#include "agent/answers/next_commands.hpp"
#include "agent/answers/status_view.hpp"
#include "agent/report/time_text.hpp"
#include "config/version.hpp"
#include "ipvs/state/binding.hpp"
#include "k8s/async/let_others_run.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::size_t kAddressesAtOnce = 64;

// The next that are wanted or bound, in their order.
std::vector<ipvs::Address> addresses_after(const ipvs::Desired& desired, const ipvs::Ledger& ledger,
                                           const std::optional<ipvs::Address>& after) {
  const std::vector<ipvs::Address> wanted = desired.addresses_after(after, kAddressesAtOnce);
  std::vector<ipvs::Address> bound, all;
  const std::set<ipvs::Address>& held = ledger.addresses();
  auto next = after ? held.upper_bound(*after) : held.begin();
  for (; next != held.end() && bound.size() < kAddressesAtOnce; ++next) bound.push_back(*next);
  std::set_union(wanted.begin(), wanted.end(), bound.begin(), bound.end(), std::back_inserter(all));
  if (all.size() > kAddressesAtOnce) all.resize(kAddressesAtOnce);
  return all;
}

json::object vip_json(const ipvs::Address& address, const ipvs::Desired& desired,
                      const ipvs::Ledger& ledger) {
  const std::string owner(desired.some_owner_of(address));
  const bool is_bound = ledger.holds(address);
  json::object item{{"address", address.to_string()},
                    {"wanted", !owner.empty()},
                    {"bound", is_bound},
                    {"equal", is_bound == !owner.empty()}};
  if (!owner.empty()) item["service"] = owner;
  return item;
}

// With auto, between the two numbers of ipvs/state/binding.hpp it may be either: addresses, then.
bool are_routed(config::VipBinding binding, const ipvs::Ledger& held) {
  if (binding != config::VipBinding::kAuto) return binding == config::VipBinding::kRoute;
  return ipvs::chosen_binding(held.addresses().size(), ipvs::VipBinding::kAddress) ==
         ipvs::VipBinding::kRoute;
}

}  // namespace

Answers::Answers(Parts parts)
    : parts_(std::move(parts)),
      services_({.kernel = parts_.kernel,
                 .thread = parts_.thread,
                 .cluster = parts_.cluster,
                 .sync = parts_.sync,
                 .conditions = parts_.conditions,
                 .history = parts_.history}),
      history_(parts_.thread, parts_.sync, parts_.history) {}

json::object Answers::status() const {
  const Reconciler& reconciler = parts_.sync.reconciler();
  const auto now = std::chrono::steady_clock::now();
  StatusInputs inputs{
      .node = parts_.config.node_name,
      .version = config::kVersion,
      .source = parts_.source_name,
      .started = rfc3339(started_),
      .now = rfc3339(std::chrono::system_clock::now()),
      .health_reasons = parts_.health.judge(HealthQuestion::kHealthy).reasons,
      .kinds = parts_.source.counters(),
      .services = parts_.cluster.services().size(),
      .pods = parts_.cluster.endpoints().pod_count(),
      .slices = parts_.cluster.endpoints().slice_count(),
      .pending = parts_.sync.pending(),
      .wanted = {reconciler.desired().server_count(), reconciler.desired().destination_count(),
                 reconciler.desired().address_count()},
      .held = {reconciler.ledger().server_count(), reconciler.ledger().destination_count(),
               reconciler.ledger().addresses().size()},
      .refused = reconciler.failed_count(),
      .foreign_servers = reconciler.foreign_count(),
      .repaired = parts_.reporter.repaired(),
      .conditions = parts_.conditions.value(),
      .dropping_chains = {parts_.forwarding.warnings().begin(), parts_.forwarding.warnings().end()},
      .kube_proxy_chains = parts_.kube_proxy.chains_left(),
      .kube_proxy_sets = parts_.kube_proxy.sets_left(),
      .kube_proxy_runs = parts_.kube_proxy.runs(),
      .drained_by_hand = drains_json(parts_.cluster.hand_drains())};
  if (!parts_.health.is_ready()) inputs.awaited = parts_.health.awaited();
  if (parts_.reporter.last_sync() != SyncReporter::WallClock::time_point{}) {
    inputs.last_pass = rfc3339(parts_.reporter.last_sync());
  }
  const Audit& comparison = parts_.sync.comparison();
  if (const auto ended = comparison.round_ended()) inputs.last_compared = rfc3339(*ended, now);
  const std::size_t left = comparison.left_in_round();
  inputs.audited = left > inputs.held.servers || left == 0 ? 0 : inputs.held.servers - left;
  const NodeDigest::Values digest = parts_.digest.read();
  inputs.digest = digest_text(digest.current);
  inputs.programmed_version = digest.version;
  inputs.is_settled = digest.is_settled;
  for (const auto& [service, of] : parts_.sync.draining()) {
    inputs.draining.push_back({service, of.destinations, of.connections});
  }
  return status_json(inputs);
}

json::object Answers::conditions() const {
  json::object all = parts_.conditions.value();
  all["kind"] = "Conditions";
  all["apiVersion"] = kApiVersion;
  return all;
}

template <typename Make>
json::object Answers::about_packet(const Question& question, Make make) const {
  const ipvs::TableRules planned = parts_.cluster.table_rules();
  const ipvs::TableRules* installed = parts_.sync.installed_rules();
  const Reconciler& reconciler = parts_.sync.reconciler();
  const ExplainView view{
      .cluster = parts_.cluster,
      .config = parts_.config,
      .ledger = reconciler.ledger(),
      .desired = reconciler.desired(),
      .rules = installed ? *installed : planned,
      .foreign = reconciler.foreign(),
      .forward_chains = parts_.forwarding.unattended_chains(),
      .vips_are_routed = are_routed(parts_.config.vip_binding, reconciler.ledger())};
  const auto made = make(question, view);
  constexpr int kWrong = 400, kMissing = 404;
  if (!made) {
    throw QuestionFault{.status = made.error().is_missing ? kMissing : kWrong,
                        .what = made.error().what};
  }
  return to_json(*made);
}

json::object Answers::explain(const Question& question) const {
  return about_packet(question, agent::explain);
}

json::object Answers::next(const Question& question) const {
  return about_packet(question, next_commands);
}

asio::awaitable<void> Answers::write_vips(BodyWriter write) const {
  const Reconciler& reconciler = parts_.sync.reconciler();
  co_await write(list_head("VIPList"));
  std::optional<ipvs::Address> after;
  for (bool more = true; more;) {
    const std::vector<ipvs::Address> some =
        addresses_after(reconciler.desired(), reconciler.ledger(), after);
    std::string text;
    for (const ipvs::Address& address : some) {
      if (after || &address != some.data()) text += ',';
      text += json::serialize(vip_json(address, reconciler.desired(), reconciler.ledger()));
    }
    if (!some.empty()) after = some.back();
    more = some.size() == kAddressesAtOnce;
    co_await write(text);
    co_await k8s::let_others_run();
  }
  co_await write("]}\n");
}

}  // namespace agent
