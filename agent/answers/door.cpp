// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/door.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "agent/answers/drains.hpp"
#include "agent/answers/openapi.hpp"
#include "agent/log/levels.hpp"
#include "agent/log/log.hpp"
#include "agent/report/counted.hpp"
#include "agent/report/log.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr int kMostLists = 4;

HttpAnswer json_answer(int status, const json::object& object) {
  return {.status = status,
          .content_type = "application/json",
          .headers = {{"X-Content-Type-Options", "nosniff"}},
          .body = json::serialize(object) + "\n"};
}

HttpAnswer fault(int status, const std::string& why) {
  return json_answer(status, {{"error", why}});
}

template <typename Ask>
HttpAnswer answer_or_fault(Ask ask) {
  try {
    return ask();
  } catch (const QuestionFault& wrong) {
    return fault(wrong.status, wrong.what);
  }
}

// A question without parameters.
HttpHandler plain_question(std::function<json::object()> ask) {
  return [ask = std::move(ask)](std::string_view target) -> asio::awaitable<HttpAnswer> {
    const std::string asked(target);
    co_return answer_or_fault([&] {
      parameters_of(asked, {});
      return json_answer(200, ask());
    });
  };
}

HttpAnswer set_log_level(std::string_view body) {
  HttpAnswer answer = answer_verbosity(body);
  while (answer.body.ends_with('\n')) answer.body.pop_back();
  if (answer.status != 200) return fault(answer.status, answer.body);
  return json_answer(200, {{"logLevel", verbosity()}});
}

// About a packet: where it goes, from whom.
HttpHandler packet_question(std::function<json::object(const Question&)> ask) {
  return [ask = std::move(ask)](std::string_view target) -> asio::awaitable<HttpAnswer> {
    const std::string asked(target);
    co_return answer_or_fault([&] {
      Parameters given = parameters_of(asked, {"to", "from", "protocol", "namespace"});
      const auto question = parse_question({.to = given["to"],
                                            .from = given["from"],
                                            .protocol = given["protocol"],
                                            .ns = given["namespace"]});
      if (!question) throw QuestionFault{.what = question.error().what};
      return json_answer(200, ask(*question));
    });
  };
}

}  // namespace

QuestionDoor::QuestionDoor(asio::any_io_executor executor, const Answers& answers,
                           Observations& observations, ClusterState& cluster,
                           HttpConnections& connections, Options options)
    : executor_(executor),
      answers_(answers),
      observations_(observations),
      cluster_(cluster),
      options_(std::move(options)),
      drain_end_(executor),
      server_(executor,
              {.name = "questions",
               .local = LocalSocket{.path = options_.socket, .group = options_.group},
               .connections = &connections,
               .puts = {{"/v1/drain", [this](std::string_view body) { return drain(body); }},
                        {"/v1/undrain", [this](std::string_view body) { return undrain(body); }},
                        {"/v1/log-level", set_log_level}},
               .on_bind =
                   [this](const std::string& why) {
                     if (std::exchange(fault_, why) != why && options_.on_bind) {
                       options_.on_bind(why);
                     }
                   }},
              routes()) {}

void QuestionDoor::start(TaskGroup& tasks) {
  if (options_.socket != "off") tasks.spawn(server_.serve());
}

std::map<std::string, HttpHandler> QuestionDoor::routes() {
  const auto list = [this](bool with_endpoints) -> HttpHandler {
    return [this, with_endpoints](std::string_view target) {
      return answer_list(std::string(target), with_endpoints);
    };
  };
  return {
      {"/v1/status", plain_question([this] { return answers_.status(); })},
      {"/v1/vips", [this](std::string_view target) { return answer_vips(std::string(target)); }},
      {"/v1/conditions", plain_question([this] { return answers_.conditions(); })},
      {"/v1/openapi.json", plain_question([] { return openapi(); })},
      {"/v1/explain",
       packet_question([this](const Question& asked) { return answers_.explain(asked); })},
      {"/v1/next", packet_question([this](const Question& asked) { return answers_.next(asked); })},
      {"/v1/history",
       [this](std::string_view target) { return answer_history(std::string(target)); }},
      {"/v1/observe",
       [this](std::string_view target) { return answer_observe(std::string(target)); }},
      {"/v1/services", list(false)},
      {"/v1/endpoints", list(true)}};
}

asio::awaitable<HttpAnswer> QuestionDoor::answer_list(std::string target, bool with_endpoints) {
  ServiceQuery query;
  HttpAnswer wrong = answer_or_fault([&] {
    query = service_query(parameters_of(target, {"namespace", "name", "selector"}));
    return HttpAnswer{};
  });
  if (wrong.status != 200) co_return wrong;
  if (!answers_.services().has(query)) {
    co_return fault(404, "there is no Service " +
                             (query.ns.empty() ? query.name : query.ns + "/" + query.name));
  }
  co_return stream([this, query, with_endpoints](BodyWriter write) {
    return answers_.services().write(query, with_endpoints, std::move(write));
  });
}

asio::awaitable<HttpAnswer> QuestionDoor::answer_vips(std::string target) {
  co_return answer_or_fault([&] {
    parameters_of(target, {});
    return stream([this](BodyWriter write) { return answers_.write_vips(std::move(write)); });
  });
}

// A long answer, written in pieces: not too many of them at once.
HttpAnswer QuestionDoor::stream(std::function<asio::awaitable<void>(BodyWriter)> write_all) {
  if (lists_ >= kMostLists) return fault(503, "too many lists are being sent: try again");
  return {.content_type = "application/json",
          .headers = {{"X-Content-Type-Options", "nosniff"}},
          .stream = [this,
                     write_all = std::move(write_all)](BodyWriter write) -> asio::awaitable<void> {
            const Counted list(lists_);
            co_await write_all(std::move(write));
          }};
}

asio::awaitable<HttpAnswer> QuestionDoor::answer_history(std::string target) {
  HistoryQuery query;
  HttpAnswer wrong = answer_or_fault([&] {
    query =
        history_query(parameters_of(target, {"service", "since", "at"}), ClusterState::unix_now());
    return HttpAnswer{};
  });
  if (wrong.status != 200) co_return wrong;
  co_return stream([this, query](BodyWriter write) {
    if (query.at) return answers_.history().write_table(query.service, *query.at, std::move(write));
    return answers_.history().write_operations(query.service, query.since, std::move(write));
  });
}

asio::awaitable<HttpAnswer> QuestionDoor::answer_observe(std::string target) {
  try {
    const ObserveQuery query =
        observe_query(parameters_of(target, {"namespace", "name", "for", "rate"}));
    co_return co_await observations_.answer(query);
  } catch (const QuestionFault& wrong) {
    co_return fault(wrong.status, wrong.what);
  }
}

void QuestionDoor::read_drains() {
  HandDrains drains;
  agent::read_drains(options_.drains, ClusterState::unix_now(), drains);
  for (const HandDrain& each : drains.all()) cluster_.drain_by_hand(each);
  end_drains_in_time();
}

HttpAnswer QuestionDoor::drain(std::string_view body) {
  return answer_or_fault([&] {
    HandDrain drain = drain_request(body, ClusterState::unix_now());
    log_info(
        "Endpoint drained by hand",
        {{"endpoint", drained_text(drain.endpoint)}, {"by", drain.by}, {"reason", drain.reason}});
    cluster_.drain_by_hand(std::move(drain));
    return keep_drains();
  });
}

HttpAnswer QuestionDoor::undrain(std::string_view body) {
  return answer_or_fault([&] {
    const ipvs::Endpoint endpoint = undrain_request(body);
    if (!cluster_.undrain_by_hand(endpoint)) {
      throw QuestionFault{.status = 404, .what = "it is not drained by hand"};
    }
    log_info("Endpoint not drained by hand any more", {{"endpoint", drained_text(endpoint)}});
    return keep_drains();
  });
}

HttpAnswer QuestionDoor::keep_drains() {
  end_drains_in_time();
  const std::string why = write_drains(options_.drains, cluster_.hand_drains());
  json::object answer{{"drainedByHand", drains_json(cluster_.hand_drains())}};
  if (!why.empty()) answer["warning"] = "a restart will not know of it: " + why;
  return json_answer(200, answer);
}

// Sleeps until the next drain ends.
void QuestionDoor::end_drains_in_time() {
  std::optional<k8s::UnixSeconds> next;
  for (const HandDrain& each : cluster_.hand_drains().all()) {
    if (each.until) next = std::min(next.value_or(*each.until), *each.until);
  }
  drain_end_.cancel();
  if (!next) return;
  const k8s::UnixSeconds left = *next - ClusterState::unix_now();
  drain_end_.expires_after(std::chrono::seconds(std::max<k8s::UnixSeconds>(left, 0)));
  drain_end_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    const k8s::UnixSeconds now = ClusterState::unix_now();
    const std::vector<HandDrain> drains = cluster_.hand_drains().all();
    for (const HandDrain& each : drains) {
      if (!each.until || *each.until > now) continue;
      log_info("Endpoint not drained by hand any more: its time is over",
               {{"endpoint", drained_text(each.endpoint)}});
      cluster_.undrain_by_hand(each.endpoint);
    }
    keep_drains();
  });
}

}  // namespace agent
