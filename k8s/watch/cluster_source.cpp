// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/cluster_source.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "k8s/async/cancellation.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;

ReflectorOptions reflector_for(const ClusterOptions& options, std::string kind, std::string path) {
  ReflectorOptions result = options.reflector;
  result.kind = std::move(kind);
  result.paths = {std::move(path)};
  return result;
}

template <typename T>
std::unique_ptr<ReflectorCore> make_reflector(const asio::any_io_executor& executor,
                                              ApiClient& client, ReflectorOptions options,
                                              Sink<T>& sink, const FaultHandler& on_fault) {
  return std::make_unique<Reflector<T>>(executor, client, std::move(options), sink, on_fault);
}

// k8s.io/apimachinery, IsValidLabelValue().
bool is_label_value(const std::string& text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return text.size() <= 63 && is_letter(text.front()) && is_letter(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_letter(c) || c == '-' || c == '_' || c == '.'; });
}

void add(KindCounters& sum, const KindCounters& more) {
  sum.lists += more.lists;
  sum.relists += more.relists;
  sum.watches += more.watches;
  sum.events += more.events;
  sum.bookmarks += more.bookmarks;
  sum.page_retries += more.page_retries;
  sum.probes += more.probes;
  sum.confirmations += more.confirmations;
  sum.bytes += more.bytes;
  if (more.version != 0 && (sum.version == 0 || more.version < sum.version)) {
    sum.version = more.version;
  }
  sum.seconds_since_contact = std::max(sum.seconds_since_contact, more.seconds_since_contact);
}

}  // namespace

ReflectorOptions service_reflector(const ClusterOptions& options) {
  ReflectorOptions result = reflector_for(options, "Service", "/api/v1/services");
  if (options.for_dns) return result;
  const std::string label = "service.kubernetes.io/service-proxy-name";
  const std::string& name = options.service_proxy_name;
  // A name that is no label value would be refused. No Service can have it: those with any name are
  // requested, and none is ours.
  result.label_selector =
      name.empty() ? "!" + label : label + (is_label_value(name) ? "=" + name : "");
  result.narrow_field_selector = "spec.clusterIP!=None";  // servers since 1.22
  return result;
}

ReflectorOptions pod_reflector(const ClusterOptions& options) {
  ReflectorOptions result = reflector_for(options, "Pod", "/api/v1/pods");
  result.field_selector = "status.phase!=Failed,status.phase!=Succeeded";
  return result;
}

ReflectorOptions weighted_pod_reflector(const ClusterOptions& options) {
  ReflectorOptions result = pod_reflector(options);
  result.label_selector = "kube-ipvs.io/weight";
  result.may_be_forbidden = result.forbidden_is_none = true;
  return result;
}

ReflectorOptions own_node_reflector(const ClusterOptions& options) {
  ReflectorOptions result = reflector_for(options, "Node", "/api/v1/nodes");
  result.field_selector = "metadata.name=" + options.node_name;
  return result;
}

ReflectorOptions other_nodes_reflector(const ClusterOptions& options) {
  ReflectorOptions result = reflector_for(options, "Node", "/api/v1/nodes");
  result.field_selector = "metadata.name!=" + options.node_name;
  return result;
}

ReflectorOptions slice_reflector(const ClusterOptions& options) {
  ReflectorOptions result =
      reflector_for(options, "EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices");
  result.paths.push_back("/apis/discovery.k8s.io/v1beta1/endpointslices");
  if (options.endpoint_source != config::EndpointSource::kEndpointSlice) {
    // Most endpoints come from Pods in this mode: a server without EndpointSlices is no fault.
    result.label_selector =
        std::string(options.for_dns ? "" : "!service.kubernetes.io/headless,") +
        "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io";
    result.optional_resource = true;
  } else if (!options.for_dns) {
    result.label_selector = "!service.kubernetes.io/headless";
  }
  return result;
}

ClusterSource::ClusterSource(asio::any_io_executor executor, ApiClient& client, const Sinks& sinks,
                             const ClusterOptions& options, FaultHandler on_fault)
    : executor_(std::move(executor)),
      client_(client),
      options_(options),
      on_fault_(std::move(on_fault)),
      sinks_(sinks),
      choice_changed_(executor_),
      other_nodes_sink_(sinks.other_nodes),
      other_nodes_needed_(executor_, std::chrono::steady_clock::time_point::max()) {
  const auto add_kind = [&](auto* sink, ReflectorOptions reflector) {
    if (!sink) return;
    reflectors_.push_back(
        make_reflector(executor_, client, std::move(reflector), *sink, on_fault_));
  };
  add_kind(sinks.services, service_reflector(options));
  add_kind(sinks.nodes, own_node_reflector(options));
  if (chooses()) {
    add_pods();
    make_slices();
    return;
  }
  add_kind(sinks.pods, pod_reflector(options));
  if (sinks.weighted_pods) add_weighted_pods();
  add_kind(sinks.slices, slice_reflector(options));
}

// The client may live longer than what the callback refers to.
ClusterSource::~ClusterSource() { client_.addresses().on_change({}); }

asio::awaitable<void> ClusterSource::run() {
  if (reflectors_.empty()) co_return;
  const bool threw_before = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  using Running = decltype(asio::co_spawn(executor_, reflectors_[0]->run(), asio::deferred));
  std::vector<Running> running;
  for (const auto& reflector : reflectors_) {
    running.push_back(asio::co_spawn(executor_, reflector->run(), asio::deferred));
  }
  running.push_back(asio::co_spawn(executor_, run_other_nodes(), asio::deferred));
  if (slices_) running.push_back(asio::co_spawn(executor_, run_slices(), asio::deferred));
  // A reflector throws only for a bug or when out of memory: cancel the others and rethrow.
  auto group = asio::experimental::make_parallel_group(std::move(running));
  auto [order, errors] =
      co_await group.async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
  co_await asio::this_coro::throw_if_cancelled(threw_before);
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

// That they are forbidden is usual, with kube-proxy's role: it is said once, for information.
void ClusterSource::add_weighted_pods() {
  const auto note = [this, said = false](const SourceFault& fault) mutable {
    if (!on_fault_ || (fault.status == 403 && std::exchange(said, true))) return;
    if (fault.status != 403) return on_fault_(fault);
    on_fault_(
        {.kind = "note",
         .what = "the label kube-ipvs.io/weight of Pods has no effect, because they may not be "
                 "listed: " +
                 fault.what});
  };
  reflectors_.push_back(make_reflector(executor_, client_, weighted_pod_reflector(options_),
                                       *sinks_.weighted_pods, note));
}

bool ClusterSource::chooses() const {
  return options_.endpoint_source == config::EndpointSource::kAuto && sinks_.pods && sinks_.slices;
}

void ClusterSource::add_pods() {
  pods_end_ = std::make_unique<ListEnd<Pod>>(*sinks_.pods, [this] { pods_listed(); });
  ReflectorOptions pods = pod_reflector(options_);
  pods.may_be_forbidden = true;
  reflectors_.push_back(
      make_reflector(executor_, client_, std::move(pods), *pods_end_,
                     [this](const SourceFault& fault) { note_pods_fault(fault); }));
}

// A reflector of its own for each choice: the resource version of one selection is of no use to
// another.
void ClusterSource::make_slices() {
  const bool all = choice_.wants_all_slices();
  if (slices_) add(past_slices_, slices_->counters());
  past_slices_.seconds_since_contact = 0;
  past_slices_.version = 0;
  ClusterOptions options = options_;
  options.endpoint_source =
      all ? config::EndpointSource::kEndpointSlice : config::EndpointSource::kSelector;
  slices_.reset();
  slices_end_ = std::make_unique<ListEnd<EndpointSlice>>(*sinks_.slices, [this, all] {
    if (all) all_slices_listed();
  });
  // That the server has an older version only is said once.
  const auto report = [this](const SourceFault& fault) {
    const bool said = fault.kind == "unserved" && std::exchange(unserved_said_, true);
    if (on_fault_ && !said) on_fault_(fault);
  };
  slices_ = make_reflector(executor_, client_, slice_reflector(options), *slices_end_, report);
}

asio::awaitable<void> ClusterSource::run_slices() {
  co_await asio::this_coro::throw_if_cancelled(false);
  bool has_all = choice_.wants_all_slices();
  for (;;) {
    choice_changed_.expires_at(std::chrono::steady_clock::time_point::max());
    auto group = asio::experimental::make_parallel_group(
        asio::co_spawn(executor_, slices_->run(), asio::deferred),
        choice_changed_.async_wait(asio::deferred));
    const auto [order, thrown, woken] =
        co_await group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    if (thrown) std::rethrow_exception(thrown);
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return;
    if (choice_.wants_all_slices() == has_all) continue;
    has_all = choice_.wants_all_slices();
    make_slices();
  }
}

// A refusal is no fault where it decides.
void ClusterSource::note_pods_fault(const SourceFault& fault) {
  const bool is_expected = choice_.wants_all_slices();
  if (fault.status == 403 && choice_.pods_refused()) {
    choice_changed_.cancel();
    if (on_fault_) {
      on_fault_({.kind = "note",
                 .what = "endpoints come from EndpointSlices, because Pods may not be listed: " +
                         fault.what});
    }
  } else if (on_fault_ && (fault.status != 403 || !is_expected)) {
    on_fault_(fault);
  }
}

void ClusterSource::pods_listed() {
  const bool were_in_force = choice_.from_pods();
  if (!choice_.pods_listed()) return;
  choice_changed_.cancel();
  if (on_fault_) {
    on_fault_({.kind = "note", .what = "Pods may be listed now: endpoints come from them"});
  }
  if (!were_in_force && sinks_.endpoints_from_pods) sinks_.endpoints_from_pods(true);
}

void ClusterSource::all_slices_listed() {
  if (choice_.slices_listed() && sinks_.endpoints_from_pods) sinks_.endpoints_from_pods(false);
}

bool ClusterSource::watch_other_nodes(
    const std::function<void(const std::string& why)>& unavailable) {
  if (!other_nodes_sink_) return false;
  if (other_nodes_) return true;
  other_nodes_unavailable_ = unavailable;
  other_nodes_ =
      make_reflector(executor_, client_, other_nodes_reflector(options_), *other_nodes_sink_,
                     [this](const SourceFault& fault) { note_other_nodes_fault(fault); });
  other_nodes_needed_.cancel();
  return true;
}

asio::awaitable<void> ClusterSource::run_other_nodes() {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!other_nodes_) co_await other_nodes_needed_.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool cancelled = co_await is_cancelled();
  if (!cancelled && other_nodes_) co_await other_nodes_->run();
}

// That they are forbidden may be meant so: it is said once.
void ClusterSource::note_other_nodes_fault(const SourceFault& fault) {
  constexpr unsigned kPatience = 3;
  const bool never_listed = other_nodes_->counters().relists == 0;
  const bool forbidden = fault.status == 403 && never_listed;
  const bool said = std::exchange(other_nodes_forbidden_, forbidden) && forbidden;
  if (on_fault_ && !said) on_fault_(fault);
  if (fault.kind == "list" || fault.kind == "watch") ++other_nodes_faults_;
  if (!forbidden && other_nodes_faults_ < kPatience) return;
  if (auto unavailable = std::exchange(other_nodes_unavailable_, {})) unavailable(fault.what);
}

std::vector<KindCounters> ClusterSource::counters() const {
  std::vector<KindCounters> result;
  for (const auto& reflector : reflectors_) {
    result.push_back(reflector->counters());
    KindCounters& of = result.back();
    if (of.kind == "Pod" && !choice_.from_pods()) of.seconds_since_contact = 0;
  }
  if (slices_) {
    result.push_back(slices_->counters());
    add(result.back(), past_slices_);
  }
  if (!other_nodes_) return result;
  const KindCounters others = other_nodes_->counters();
  const auto nodes = std::find_if(result.begin(), result.end(),
                                  [&](const auto& each) { return each.kind == others.kind; });
  if (nodes != result.end()) {
    add(*nodes, others);
  } else {
    result.push_back(others);
  }
  return result;
}

std::vector<asio::ip::address> ClusterSource::server_addresses() const {
  return client_.addresses().all();
}

void ClusterSource::on_server_addresses(const std::function<void()>& changed) {
  client_.addresses().on_change(changed);
}

}  // namespace k8s
