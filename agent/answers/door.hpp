// SPDX-License-Identifier: Apache-2.0
//
// The door for questions: HTTP with JSON on a unix socket, --api-socket.
//
//   GET /v1/status            the verdict on this node (agent/answers/status_view.hpp)
//   GET /v1/services          Services with their virtual servers, wanted and held
//   GET /v1/endpoints         the same with the state of each endpoint, and why
//   GET /v1/vips              the addresses that are wanted or bound
//   GET /v1/conditions        what this node does not do as asked
//   GET /v1/history           operations of the kernel and their causes; with `at` the table as it was
//   GET /v1/explain           the way of a packet (agent/answers/explain.hpp)
//   GET /v1/next              commands that look further (agent/answers/next_commands.hpp)
//   GET /v1/observe           connections of a Service as they begin and end: JSON lines, until the
//                             client closes the connection (agent/answers/observations.hpp)
//   GET /v1/openapi.json      this list, for programs
//   PUT /v1/drain             gives an endpoint no new connections (agent/answers/drains.hpp)
//   PUT /v1/undrain           ends that
//   PUT /v1/log-level         a number, as --v
//
// Root, the user of kube-ipvs and the members of --api-socket-group may ask; the verbs (PUT) are for
// root and that user only. v1 stays as it is: fields are added, none changes its meaning.
//
// Threading: the agent's io_context thread.
// Errors: {"error": "one line"} with 400 (what was asked is wrong), 403, 404 (no such Service) or 503.
// Limits: four lists at once, and those of agent/report/http_server.hpp.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/answers/answers.hpp"
#include "agent/answers/observations.hpp"
#include "agent/report/http_server.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {

class QuestionDoor {
 public:
  struct Options {
    std::string socket{};  // its path; "off": there is none
    std::string group{};   // --api-socket-group
    std::string drains{};  // the file that remembers what is drained by hand
    // "": it listens; else why not. Called when that changes.
    std::function<void(const std::string& fault)> on_bind{};
  };
  QuestionDoor(boost::asio::any_io_executor executor, const Answers& answers,
               Observations& observations, ClusterState& cluster, HttpConnections& connections,
               Options options);

  // Reads what is drained by hand; before the first plan.
  void read_drains();
  void start(TaskGroup& tasks);

 private:
  std::map<std::string, HttpHandler> routes();
  boost::asio::awaitable<HttpAnswer> answer_list(std::string target, bool with_endpoints);
  boost::asio::awaitable<HttpAnswer> answer_vips(std::string target);
  HttpAnswer stream(std::function<boost::asio::awaitable<void>(BodyWriter)> write_all);
  boost::asio::awaitable<HttpAnswer> answer_history(std::string target);
  boost::asio::awaitable<HttpAnswer> answer_observe(std::string target);
  HttpAnswer drain(std::string_view body);
  HttpAnswer undrain(std::string_view body);
  HttpAnswer keep_drains();
  void end_drains_in_time();

  boost::asio::any_io_executor executor_;
  const Answers& answers_;
  Observations& observations_;
  ClusterState& cluster_;
  Options options_;
  std::string fault_;  // why it does not listen
  int lists_ = 0;      // under way
  boost::asio::steady_timer drain_end_;
  HttpServer server_;
};

}  // namespace agent
