// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/run_question.hpp"

#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "agent/ask/arguments.hpp"
#include "agent/ask/explanation_text.hpp"
#include "agent/ask/fields.hpp"
#include "agent/ask/observation_text.hpp"
#include "agent/ask/peers.hpp"
#include "agent/ask/request.hpp"
#include "agent/ask/screens.hpp"
#include "agent/ask/top.hpp"
#include "config/commands.hpp"
#include "config/printable.hpp"
#include "k8s/client/url.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr int kAnswered = 0, kBadNews = 1, kNoAnswer = 2;
constexpr std::chrono::seconds kWatchPause{2};
constexpr std::size_t kLongestFault = 1024;
constexpr long kLongestDrain = 2'592'000;  // 30 days

int complain(std::string_view command, const std::string& why, int code) {
  std::cerr << "kube-ipvs " << command << ": " << config::printable(why, kLongestFault) << "\n";
  return code;
}

std::string query_of(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string query;
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    query += (query.empty() ? "?" : "&") + name + "=" + k8s::percent_encode(value);
  }
  return query;
}

// What went wrong, from {"error": ...}; "": nothing.
std::string fault_of(const Reply& reply) {
  if (reply.status == 200) return {};
  boost::system::error_code error;
  const json::value parsed = json::parse(reply.body, error);
  std::string why = error ? std::string() : text_of(parsed, "error");
  if (!why.empty()) return why;
  return reply.body.empty() ? "the agent answered with status " + std::to_string(reply.status)
                            : reply.body.substr(0, reply.body.find('\n'));
}

using Screen = std::function<std::string(const json::value&, const Look&)>;

// The agent does not answer as asked: why, and the exit code that says so.
struct Refused {
  std::string why;
  int code = kNoAnswer;
};

int code_of_fault(const Reply& reply) {
  constexpr int kNotFound = 404;
  return reply.status == kNotFound ? kBadNews : kNoAnswer;
}

// Throws Refused.
json::value answer_to(const Asker& asker, const std::string& target) {
  const Reply reply = asker.get(target);
  if (std::string fault = fault_of(reply); !fault.empty()) {
    throw Refused{std::move(fault), code_of_fault(reply)};
  }
  return json::parse(reply.body);
}

bool wants_colours() { return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr; }

// One question with an answer that is shown as a screen, or as it is.
struct ScreenQuestion {
  std::function<json::value()> ask;  // may throw Refused
  Screen screen;
  std::function<int(const json::value&)> code = [](const json::value&) { return kAnswered; };
};

std::string shown(const ScreenQuestion& question, const Arguments& arguments,
                  const json::value& answer) {
  const std::string form = arguments.value("output");
  if (form == "json") return json::serialize(answer) + "\n";
  if (form == "yaml") return yaml_text(answer);
  return question.screen(answer, {.colours = wants_colours(), .wide = form == "wide"});
}

// The lines that were not there the last time; all of them at first.
void print_changes(const std::string& text, std::set<std::string>& before) {
  std::set<std::string> now;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!before.contains(line)) std::cout << line << "\n";
    now.insert(line);
  }
  std::cout.flush();
  before = std::move(now);
}

int ask_screen(const Arguments& arguments, const ScreenQuestion& question) {
  std::set<std::string> before;
  while (true) {
    const json::value answer = question.ask();
    const std::string text = shown(question, arguments, answer);
    if (!arguments.has("watch")) {
      std::cout << text;
      return question.code(answer);
    }
    print_changes(text, before);
    std::this_thread::sleep_for(kWatchPause);
  }
}

std::function<json::value()> from(const Asker& asker, std::string target) {
  return [&asker, target = std::move(target)] { return answer_to(asker, target); };
}

// Changes reach nodes one after the other: what differs is asked again, twice.
std::vector<PeerAnswer> ask_until_equal(const Asker& asker,
                                        const std::vector<config::HostPort>& peers) {
  constexpr int kTries = 3;
  constexpr std::chrono::seconds kPause{1};
  for (int tried = 1;; ++tried) {
    std::vector<PeerAnswer> answers = ask_peers(peers);
    answers.insert(answers.begin(), peer_answer(answer_to(asker, "/v1/status")));
    if (tried == kTries || are_equal(answers)) return answers;
    std::this_thread::sleep_for(kPause);
  }
}

int compare_peers(const Arguments& arguments, const Asker& asker) {
  const ReadPeers read = read_peers(arguments.value("peers"));
  if (!read.fault.empty()) throw Refused{read.fault};
  return ask_screen(arguments,
                    {.ask = [&] { return peers_json(ask_until_equal(asker, read.peers)); },
                     .screen = peers_screen,
                     .code =
                         [](const json::value& answer) {
                           return flag_of(answer, "equal") ? kAnswered : kBadNews;
                         }});
}

int status(const Arguments& arguments, const Asker& asker) {
  if (arguments.has("peers")) return compare_peers(arguments, asker);
  return ask_screen(arguments, {.ask = from(asker, "/v1/status"),
                                .screen = status_screen,
                                .code = [](const json::value& answer) {
                                  return text_of(answer, "verdict") == "ok" ? kAnswered : kBadNews;
                                }});
}

int get(const Arguments& arguments, const Asker& asker) {
  const std::string& what = arguments.words.front();
  const std::string name = arguments.words.size() > 1 ? arguments.words[1] : "";
  const std::string query = query_of({{"namespace", arguments.value("namespace")},
                                      {"name", name},
                                      {"selector", arguments.value("selector")}});
  const bool of_services = what == "services" || what == "endpoints";
  if (!of_services && !query.empty()) {
    return complain("get", "NAME, -n and -l belong to services and endpoints", kNoAnswer);
  }
  Screen screen = what == "services"    ? services_screen
                  : what == "endpoints" ? endpoints_screen
                  : what == "vips"      ? vips_screen
                                        : conditions_screen;
  return ask_screen(arguments, {.ask = from(asker, "/v1/" + what + query), .screen = screen});
}

int history(const Arguments& arguments, const Asker& asker) {
  const auto seconds = seconds_of(arguments.value("since", "10m"));
  if (!seconds) {
    return complain("history", "--since: \"" + arguments.value("since") + "\" is not a duration",
                    kNoAnswer);
  }
  const std::string service = arguments.words.empty() ? "" : arguments.words.front();
  const std::string at = arguments.value("at");
  const std::string query =
      at.empty() ? query_of({{"service", service}, {"since", std::to_string(*seconds)}})
                 : query_of({{"service", service}, {"at", at}});
  return ask_screen(arguments, {.ask = from(asker, "/v1/history" + query),
                                .screen = at.empty() ? history_screen : table_screen});
}

// `explain` and `next`.
int about_packet(std::string_view command, const Arguments& arguments, const Asker& asker,
                 std::string (*text)(const json::object&)) {
  const std::string query = query_of({{"to", arguments.words.front()},
                                      {"from", arguments.value("from")},
                                      {"protocol", arguments.value("protocol")},
                                      {"namespace", arguments.value("namespace")}});
  return ask_screen(arguments, {.ask = from(asker, "/v1/" + std::string(command) + query),
                                .screen = [text](const json::value& answer, const Look&) {
                                  return answer.is_object() ? text(answer.as_object())
                                                            : std::string();
                                }});
}

int explain(const Arguments& arguments, const Asker& asker) {
  return about_packet("explain", arguments, asker, explanation_text);
}

int next(const Arguments& arguments, const Asker& asker) {
  return about_packet("next", arguments, asker, next_commands_text);
}

int put(std::string_view command, const Asker& asker, const std::string& target,
        const std::string& body, const std::string& done) {
  const Reply reply = asker.put(target, body);
  if (const std::string fault = fault_of(reply); !fault.empty()) {
    return complain(command, fault, code_of_fault(reply));
  }
  boost::system::error_code error;
  const std::string warning = text_of(json::parse(reply.body, error), "warning");
  if (!warning.empty()) complain(command, warning, 0);
  std::cout << done << "\n";
  return kAnswered;
}

// Who asks: sudo's caller, else the user.
std::string caller() {
  for (const char* name : {"SUDO_USER", "USER", "LOGNAME"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return "uid " + std::to_string(::getuid());
}

int drain(const Arguments& arguments, const Asker& asker) {
  json::object body{{"endpoint", arguments.words.front()}, {"by", caller()}};
  if (arguments.has("for")) {
    const auto seconds = seconds_of(arguments.value("for"));
    if (!seconds || *seconds > kLongestDrain) {
      return complain("drain",
                      "--for: \"" + arguments.value("for") + "\" is not a duration from 1s to 720h",
                      kNoAnswer);
    }
    body["seconds"] = *seconds;
  }
  if (arguments.has("reason")) body["reason"] = arguments.value("reason");
  return put(
      "drain", asker, "/v1/drain", json::serialize(body),
      config::printable(arguments.words.front(), kLongestFault) + " gets no new connections");
}

int undrain(const Arguments& arguments, const Asker& asker) {
  const json::object body{{"endpoint", arguments.words.front()}};
  return put("undrain", asker, "/v1/undrain", json::serialize(body),
             config::printable(arguments.words.front(), kLongestFault) + " is not drained by hand");
}

int log_level(const Arguments& arguments, const Asker& asker) {
  return put("log-level", asker, "/v1/log-level", arguments.words.front(),
             "the log level is " + arguments.words.front());
}

int top(const Arguments& arguments, const Asker& asker) {
  const auto seconds = seconds_of(arguments.value("interval", "2"));
  constexpr long kLongest = 60;
  if (!seconds || *seconds > kLongest) {
    return complain("top",
                    "--interval: \"" + arguments.value("interval") + "\" is not 1 to 60 seconds",
                    kNoAnswer);
  }
  const std::string target =
      "/v1/endpoints" +
      query_of({{"namespace", arguments.value("namespace")},
                {"name", arguments.words.empty() ? "" : arguments.words.front()}});
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  Top readings(arguments.value("sort", "new"));
  auto at = std::chrono::steady_clock::now();
  for (bool is_first = true;; is_first = false) {
    const Reply reply = asker.get(target);
    if (const std::string fault = fault_of(reply); !fault.empty()) {
      return complain("top", fault, code_of_fault(reply));
    }
    const auto now = std::chrono::steady_clock::now();
    const std::string text = readings.next(
        json::parse(reply.body), std::chrono::duration<double>(now - at).count(), wants_colours());
    at = now;
    if (!is_first) {
      if (is_terminal && !arguments.has("once")) std::cout << "\033[H\033[2J";
      std::cout << text << std::flush;
      if (arguments.has("once")) return kAnswered;
    }
    std::this_thread::sleep_for(std::chrono::seconds(*seconds));
  }
}

[[noreturn]] void end_observation(int) { ::_exit(kAnswered); }  // every line is written already

int observe(const Arguments& arguments, const Asker& asker) {
  const std::string duration = arguments.value("for", "10m");
  const auto seconds = seconds_of(duration);
  constexpr long kLongest = 3600;
  if (!seconds || *seconds > kLongest) {
    return complain(
        "observe",
        "--for: " + config::printable_quoted(duration) + " is not a duration from 1s to 1h",
        kNoAnswer);
  }
  const std::string target = "/v1/observe" + query_of({{"name", arguments.words.front()},
                                                       {"namespace", arguments.value("namespace")},
                                                       {"for", std::to_string(*seconds)},
                                                       {"rate", arguments.value("rate")}});
  const bool is_raw = arguments.value("output") == "json";
  std::signal(SIGINT, end_observation);
  ObservationText lines(wants_colours());
  const Reply reply = asker.get_lines(target, [&](const std::string& line) {
    std::cout << (is_raw ? line + "\n" : lines.next(json::parse(line))) << std::flush;
  });
  const std::string fault = fault_of(reply);
  return fault.empty() ? kAnswered : complain("observe", fault, code_of_fault(reply));
}

struct Handler {
  std::string_view name;
  int (*run)(const Arguments&, const Asker&);
};
constexpr Handler kHandlers[] = {{"status", status},   {"get", get},
                                 {"top", top},         {"history", history},
                                 {"observe", observe}, {"explain", explain},
                                 {"next", next},       {"drain", drain},
                                 {"undrain", undrain}, {"log-level", log_level}};

}  // namespace

bool is_question(int argc, const char* const* argv) {
  return argc > 1 && config::find_command(argv[1]) != nullptr;
}

int run_question(int argc, const char* const* argv) {
  std::signal(SIGPIPE, SIG_DFL);  // as in `kube-ipvs get endpoints | head`
  const config::Command& command = *config::find_command(argv[1]);
  const ReadArguments read = read_arguments(command, argc, argv);
  if (!read.help.empty()) {
    std::cout << read.help;
    return kAnswered;
  }
  if (!read.fault.empty()) return complain(command.name, read.fault, kNoAnswer);
  const Asker asker(read.arguments.value("api-socket", "/run/kube-ipvs/api.sock"));
  for (const Handler& handler : kHandlers) {
    if (handler.name != command.name) continue;
    try {
      return handler.run(read.arguments, asker);
    } catch (const Refused& refused) {
      return complain(command.name, refused.why, refused.code);
    } catch (const std::exception& error) {  // NoAnswer, or an answer that is no JSON
      return complain(command.name, error.what(), kNoAnswer);
    }
  }
  return complain(command.name, "not known", kNoAnswer);
}

}  // namespace agent
