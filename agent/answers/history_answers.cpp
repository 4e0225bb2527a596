// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/history_answers.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "agent/answers/history_view.hpp"
#include "agent/answers/lists.hpp"
#include "agent/history/state_text.hpp"
#include "agent/report/time_text.hpp"
#include "k8s/async/let_others_run.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::size_t kRowsAtOnce = 64;

}  // namespace

// Blocks are read on the kernel thread, one at a time: that is where lines are added.
asio::awaitable<void> HistoryAnswers::write_operations(std::string service, UnixMilliseconds since,
                                                       BodyWriter write) const {
  co_await write(list_head("History"));
  HistoryRecorder::Place place;
  bool is_first = true;
  for (bool more = true; more;) {
    std::string text;
    more = co_await thread_.run([&] {
      return history_.read_some(place, [&](HistoryEntry&& entry) {
        if (entry.at < since || (!service.empty() && entry.service != service)) return;
        if (!std::exchange(is_first, false)) text += ',';
        text += json::serialize(agent::to_json(entry));
      });
    });
    co_await write(text);
  }
  co_await write("]}\n");
}

HistoryAnswers::Present HistoryAnswers::present_of(const std::string& service) const {
  Present present;
  const ipvs::Ledger& held = sync_.reconciler().ledger();
  for (const ipvs::ServerKey& key : sync_.reconciler().desired().servers_of(service)) {
    if (held.holds(key.address)) present.bound.insert(key.address);
    if (const ipvs::Server* server = held.server(key)) present.servers.push_back(*server);
  }
  return present;
}

asio::awaitable<HistoryAnswers::Past> HistoryAnswers::read_past(const std::string& service,
                                                                UnixMilliseconds at) const {
  Past past;
  HistoryRecorder::Place place;
  const auto take = [&](HistoryEntry&& entry) {
    if (entry.at <= at) {
      past.is_known = true;
    } else if (entry.command == "START") {
      past.is_broken = true;
    } else if (entry.service == service) {
      ++past.operations;
      if (!past.table.note(std::move(entry))) past.is_too_long = true;
    }
  };
  for (bool more = true; more;) {
    more = co_await thread_.run([&] { return history_.read_some(place, take); });
  }
  co_return past;
}

asio::awaitable<void> HistoryAnswers::add_present(const Present& present, PastTable& table) const {
  for (const ipvs::Address& address : present.bound) table.add({address.to_string(), ""}, "bound");
  for (const ipvs::Server& server : present.servers) {
    const std::string object = server.settings.key.text();
    table.add({object, ""}, state_text(server.settings));
    std::size_t in_step = 0;
    for (const ipvs::Destination& each : server.destinations) {
      table.add({object, each.endpoint.text()}, state_text(each));
      if (++in_step % kRowsAtOnce == 0) co_await k8s::let_others_run();
    }
  }
}

asio::awaitable<void> HistoryAnswers::write_table(std::string service, UnixMilliseconds at,
                                                  BodyWriter write) const {
  // Before the history is read: what is done meanwhile is in it, and so it does not count.
  const Present present = present_of(service);
  Past past = co_await read_past(service, at);
  co_await add_present(present, past.table);
  json::object head{{"kind", "Table"},
                    {"apiVersion", kApiVersion},
                    {"service", service},
                    {"at", time_text(at)},
                    {"operationsSince", past.operations}};
  if (past.is_too_long) {
    head["warning"] =
        "more than 50,000 objects have changed since then: of some the state is today's";
  } else if (past.is_broken) {
    head["warning"] =
        "the agent started since then with a large table: what that changed is not known";
  } else if (!past.is_known) {
    head["warning"] = "the history does not reach back to that time";
  }
  std::string text = json::serialize(head);
  text.pop_back();
  text += R"(,"items":[)";
  bool is_first = true;
  for (bool more = true; more;) {
    more =
        past.table.take_some(kRowsAtOnce, [&](const PastTable::Key& key, const std::string& state) {
          json::object row{{"object", key.first}, {"state", state}};
          if (!key.second.empty()) row["endpoint"] = key.second;
          if (!std::exchange(is_first, false)) text += ',';
          text += json::serialize(row);
        });
    co_await write(std::exchange(text, {}));
    co_await k8s::let_others_run();
  }
  co_await write("]}\n");
}

}  // namespace agent
