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
  sum.seconds_since_contact = std::max(sum.seconds_since_contact, more.seconds_since_contact);
}

}  // namespace

ReflectorOptions service_reflector(const ClusterOptions& options) {
  ReflectorOptions result = reflector_for(options, "Service", "/api/v1/services");
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
  if (options.endpoint_source == config::EndpointSource::kSelector) {
    // Most endpoints come from Pods in this mode: a server without EndpointSlices is no fault.
    result.label_selector =
        "!service.kubernetes.io/headless,"
        "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io";
    result.optional_resource = true;
  } else {
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
      other_nodes_sink_(sinks.other_nodes),
      other_nodes_needed_(executor_, std::chrono::steady_clock::time_point::max()) {
  const auto add_kind = [&](auto* sink, ReflectorOptions reflector) {
    if (!sink) return;
    reflectors_.push_back(
        make_reflector(executor_, client, std::move(reflector), *sink, on_fault_));
  };
  add_kind(sinks.services, service_reflector(options));
  add_kind(sinks.pods, pod_reflector(options));
  add_kind(sinks.nodes, own_node_reflector(options));
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
  // A reflector throws only for a bug or when out of memory: cancel the others and rethrow.
  auto group = asio::experimental::make_parallel_group(std::move(running));
  auto [order, errors] =
      co_await group.async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
  co_await asio::this_coro::throw_if_cancelled(threw_before);
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
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
  for (const auto& reflector : reflectors_) result.push_back(reflector->counters());
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
