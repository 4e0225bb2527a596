// SPDX-License-Identifier: Apache-2.0
//
// What the agent tells people about Services: a line in the log and a Kubernetes Event, once.
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/app.hpp"
#include "k8s/async/cancellation.hpp"

namespace agent {
namespace {

const char* result_name(EventRecorder::Result result) {
  switch (result) {
    case EventRecorder::Result::kPosted:
      return "posted";
    case EventRecorder::Result::kDropped:
      return "dropped";
    case EventRecorder::Result::kFailed:
      return "failed";
  }
  return "failed";
}

}  // namespace

// The first table goes before what there is to tell, for so long.
boost::asio::awaitable<void> App::post_events() {
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  co_await events_hold_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  const bool cancelled = co_await k8s::is_cancelled();
  if (cancelled) co_return;
  recorder_.note(subject_of_node(config_.node_name), "Starting", "Start",
                 "kube-ipvs " KUBE_IPVS_VERSION);
  co_await recorder_.run();
}

EventRecorder::Options App::event_options() {
  return {
      .node_name = config_.node_name,
      .on_result = [this](EventRecorder::Result result) { metrics_.event(result_name(result)); },
      .on_fault = [](const std::string& line) { spdlog::warn("{}", line); }};
}

bool App::tell_service(const ipvs::Owner& owner, std::string reason, std::string action,
                       std::string note) {
  if (!told_.first(owner, reason, note)) return false;
  spdlog::warn("Service {}: {}", owner, note);
  if (const k8s::Service* service = cluster_.service(owner)) {
    recorder_.warn(subject_of(*service), std::move(reason), std::move(action), std::move(note));
  }
  return true;
}

void App::tell_notices(const ipvs::Owner& owner,
                       const std::vector<SyncInputs::Plan::Notice>& notices) {
  for (const auto& notice : notices) {
    const bool first = tell_service(owner, notice.reason, "Program", notice.note);
    if (first && notice.reason == "AddressRefused") metrics_.address_refused();
  }
}

void App::tell_forwarding(const std::string& line) {
  spdlog::warn("{}", line);
  recorder_.warn(subject_of_node(config_.node_name), "ForwardingDropped", "Check", line);
}

// The same conflict comes up at every change of the Service.
void App::on_conflict(const Reconciler::Conflict& conflict) {
  const std::string holder =
      conflict.holder.empty() ? "a virtual server that is not ours" : "Service " + conflict.holder;
  const bool first =
      tell_service(conflict.owner, "AddressTaken", "Claim",
                   conflict.key.text() + " is taken by " + holder + ": not served there");
  if (first) metrics_.conflict();
}

}  // namespace agent
