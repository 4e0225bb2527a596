// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/screens.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <map>
#include <utility>
#include <vector>

#include "agent/ask/fields.hpp"
#include "agent/ask/table.hpp"
#include "config/printable.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestLine = 1024;

std::string shown(const std::string& text) { return config::printable(text, kLongestLine); }

Colour colour_of_verdict(const std::string& verdict) {
  if (verdict == "ok") return Colour::kGood;
  return verdict == "failing" ? Colour::kBad : Colour::kAttention;
}

Colour colour_of_state(const std::string& state) {
  if (state == "serving") return Colour::kGood;
  if (state == "refused" || state == "extra") return Colour::kBad;
  return state == "out" ? Colour::kFaint : Colour::kAttention;
}

std::string number(std::int64_t value) { return std::to_string(value); }

// "3 serving, 1 draining"
std::string states_text(const json::value& service) {
  std::string text;
  const json::value* states = field(service, "endpointStates");
  if (!states || !states->is_object()) return text;
  for (const char* name :
       {"serving", "ramping", "draining", "pending", "refused", "extra", "out"}) {
    const std::int64_t count = count_of(*states, name);
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text += number(count) + " " + name;
  }
  return text.empty() ? "none" : text;
}

std::string joined(const json::array& texts) {
  std::string all;
  for (const json::value& each : texts) {
    if (!each.is_string()) continue;
    if (!all.empty()) all += ",";
    all += each.as_string();
  }
  return all;
}

std::string ports_text(const json::value& service) {
  std::string all;
  for (const json::value& port : list_of(service, "ports")) {
    if (!all.empty()) all += ",";
    all += number(count_of(port, "port"));
    if (const std::int64_t node = count_of(port, "nodePort"); node != 0) all += ":" + number(node);
    all += "/" + text_of(port, "protocol");
  }
  return all;
}

// What of a Service's virtual servers is not as wanted; "": nothing.
std::string differences_text(const json::value& service) {
  std::string all;
  for (const json::value& port : list_of(service, "ports")) {
    for (const json::value& server : list_of(port, "servers")) {
      if (flag_of(server, "equal")) continue;
      if (!all.empty()) all += "; ";
      all += text_of(server, "server") + ": " + text_of(server, "difference");
    }
  }
  return all;
}

Cell kernel_cell(const json::value& service) {
  if (!flag_of(service, "served")) return {"not served", Colour::kFaint};
  const std::string differs = differences_text(service);
  return differs.empty() ? Cell("equal", Colour::kGood) : Cell(differs, Colour::kBad);
}

std::string amounts(const json::value& kernel, const char* of) {
  const json::value* amount = field(kernel, of);
  if (!amount) return {};
  return number(count_of(*amount, "virtualServers")) + " virtual servers, " +
         number(count_of(*amount, "destinations")) + " destinations, " +
         number(count_of(*amount, "addresses")) + " addresses";
}

std::string line(const std::string& label, const std::string& text) {
  constexpr std::size_t kLabel = 12;
  return label + std::string(label.size() < kLabel ? kLabel - label.size() : 1, ' ') + shown(text) +
         "\n";
}

std::string source_line(const json::value& status) {
  const json::value* source = field(status, "source");
  if (!source) return {};
  std::string text = text_of(*source, "from");
  std::string ages;
  for (const json::value& kind : list_of(*source, "kinds")) {
    if (!ages.empty()) ages += ", ";
    const double age = number_of(kind, "secondsSinceContact");
    ages += text_of(kind, "kind") + " " + (age < 1 ? "fresh" : age_text(age) + " ago");
  }
  if (!ages.empty()) text += "; " + ages;
  return line("source", text) +
         line("knows", number(count_of(*source, "services")) + " Services, " +
                           number(count_of(*source, "pods")) + " Pods, " +
                           number(count_of(*source, "endpointSlices")) + " EndpointSlices");
}

std::string kernel_lines(const json::value& status) {
  const json::value* kernel = field(status, "kernel");
  if (!kernel) return {};
  const std::string now = text_of(status, "now");
  std::string compared = "no whole comparison with the kernel has ended yet";
  if (const std::string last = text_of(*kernel, "lastComparison"); !last.empty()) {
    compared = "last whole comparison " + age_text(seconds_between(last, now)) + " ago";
  }
  const json::value* wanted = field(*kernel, "wanted");
  const json::value* held = field(*kernel, "held");
  const bool equal = wanted && held && *wanted == *held && count_of(*kernel, "refused") == 0 &&
                     count_of(*kernel, "pendingServices") == 0;
  std::string out = line("wanted", amounts(*kernel, "wanted"));
  out += line("held", amounts(*kernel, "held") + (equal ? ": equal" : ": not equal"));
  out += line("", compared + ", " + number(count_of(*kernel, "repaired")) +
                      " objects repaired since the start");
  std::string rest = number(count_of(*kernel, "pendingServices")) + " Services to be planned, " +
                     number(count_of(*kernel, "refused")) + " keys refused by the kernel, " +
                     number(count_of(*kernel, "foreignVirtualServers")) +
                     " virtual servers of others";
  return out + line("", rest);
}

// What other nodes are compared with.
std::string digest_line(const json::value& answer) {
  const std::string digest = text_of(answer, "digest");
  const std::int64_t version = count_of(answer, "programmedVersion");
  if (digest.empty()) return {};
  return line("plan", "digest " + digest + (version == 0 ? "" : ", version " + number(version)) +
                          "; --peers compares it with other nodes");
}

std::string list_lines(const std::string& title, const json::array& items) {
  std::string out;
  for (const json::value& item : items) {
    if (!item.is_string()) continue;
    out += line(out.empty() ? title : "", std::string(item.as_string()));
  }
  return out;
}

void emit(YAML::Emitter& out, const json::value& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& each : value.as_object()) {
      out << YAML::Key << std::string(each.key()) << YAML::Value;
      emit(out, each.value());
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.as_array().empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const json::value& each : value.as_array()) emit(out, each);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    out << YAML::DoubleQuoted << std::string(value.as_string());
  } else if (value.is_bool()) {
    out << value.as_bool();
  } else if (value.is_double()) {
    out << value.as_double();
  } else if (value.is_number()) {
    out << value.to_number<std::int64_t>();
  } else {
    out << YAML::Null;
  }
}

}  // namespace

std::string why_text(const json::value& endpoint) {
  const json::value* why = field(endpoint, "why");
  if (!why) return {};
  std::string text = text_of(*why, "note");
  std::string source;
  for (const char* part : {"object", "field", "value", "since"}) {
    const std::string value = text_of(*why, part);
    if (value.empty()) continue;
    if (!source.empty()) source += " ";
    source += (part == std::string("since") ? "since " : "") + value;
  }
  return source.empty() ? text : text + " (" + source + ")";
}

std::string age_text(double seconds) {
  if (seconds < 0) return "?";
  const auto whole = static_cast<std::int64_t>(seconds);
  constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86400;
  if (whole < 2 * kMinute) return number(whole) + "s";
  if (whole < 3 * kHour) return number(whole / kMinute) + "m";
  if (whole < 2 * kDay) return number(whole / kHour) + "h" + number(whole % kHour / kMinute) + "m";
  return number(whole / kDay) + "d";
}

double seconds_between(const std::string& from, const std::string& to) {
  std::tm first{}, last{};
  if (!::strptime(from.c_str(), "%Y-%m-%dT%H:%M:%SZ", &first)) return -1;
  if (!::strptime(to.c_str(), "%Y-%m-%dT%H:%M:%SZ", &last)) return -1;
  return std::max(std::difftime(::timegm(&last), ::timegm(&first)), 0.0);
}

std::string status_screen(const json::value& answer, const Look& look) {
  const std::string verdict = text_of(answer, "verdict");
  std::string out = coloured(shown(verdict), colour_of_verdict(verdict), look.colours);
  out += "  node " + shown(text_of(answer, "node")) + ", kube-ipvs " +
         shown(text_of(answer, "version")) + ", up " +
         age_text(seconds_between(text_of(answer, "started"), text_of(answer, "now"))) + "\n";
  out += list_lines("failing", list_of(answer, "failing"));
  if (const std::string awaits = text_of(answer, "awaits"); !awaits.empty()) {
    out += line("awaits", awaits);
  }
  out += list_lines("attention", list_of(answer, "attention"));
  out += source_line(answer) + kernel_lines(answer) + digest_line(answer);
  std::string title = "draining";
  for (const json::value& each : list_of(answer, "draining")) {
    out += line(std::exchange(title, ""),
                text_of(each, "service") + ": " + number(count_of(each, "destinations")) +
                    " endpoints, " + number(count_of(each, "connections")) + " connections");
  }
  title = "by hand";
  for (const json::value& each : list_of(answer, "drainedByHand")) {
    std::string text = text_of(each, "endpoint") + " drained since " + text_of(each, "since");
    if (const std::string until = text_of(each, "until"); !until.empty()) text += " until " + until;
    if (const std::string by = text_of(each, "by"); !by.empty()) text += " by " + by;
    if (const std::string why = text_of(each, "reason"); !why.empty()) text += ": " + why;
    out += line(std::exchange(title, ""), text);
  }
  return out;
}

std::string services_screen(const json::value& answer, const Look& look) {
  std::vector<Row> rows;
  for (const json::value& each : list_of(answer, "items")) {
    Row row{text_of(each, "namespace"), text_of(each, "name"), text_of(each, "type"),
            joined(list_of(each, "clusterIPs"))};
    if (look.wide) row.emplace_back(joined(list_of(each, "externalIPs")));
    row.emplace_back(ports_text(each));
    row.emplace_back(states_text(each));
    row.push_back(kernel_cell(each));
    const std::size_t conditions = list_of(each, "conditions").size();
    row.emplace_back(conditions == 0 ? "" : number(static_cast<std::int64_t>(conditions)),
                     Colour::kAttention);
    rows.push_back(std::move(row));
  }
  std::vector<std::string> head{"NAMESPACE", "NAME", "TYPE", "CLUSTER-IP"};
  if (look.wide) head.emplace_back("EXTERNAL-IP");
  for (const char* each : {"PORTS", "ENDPOINTS", "KERNEL", "CONDITIONS"}) head.emplace_back(each);
  return table(head, rows, look.colours);
}

std::string endpoints_screen(const json::value& answer, const Look& look) {
  std::vector<Row> rows;
  for (const json::value& service : list_of(answer, "items")) {
    const std::string name = text_of(service, "namespace") + "/" + text_of(service, "name");
    for (const json::value& each : list_of(service, "endpoints")) {
      const std::string state = text_of(each, "state");
      const std::int64_t weight = count_of(each, "weight");
      const std::int64_t wanted = count_of(each, "wantedWeight");
      Row row{name,
              text_of(each, "servicePort"),
              text_of(each, "endpoint"),
              text_of(each, "pod"),
              text_of(each, "node"),
              Cell(state, colour_of_state(state))};
      row.emplace_back(weight == wanted ? number(weight)
                                        : number(weight) + " of " + number(wanted));
      row.emplace_back(number(count_of(each, "activeConnections")));
      if (look.wide) row.emplace_back(number(count_of(each, "inactiveConnections")));
      row.emplace_back(why_text(each));
      rows.push_back(std::move(row));
    }
  }
  std::vector<std::string> head{"SERVICE", "PORT",  "ENDPOINT", "POD",
                                "NODE",    "STATE", "WEIGHT",   "ACTIVE"};
  if (look.wide) head.emplace_back("INACTIVE");
  head.emplace_back("WHY");
  return table(head, rows, look.colours);
}

std::string vips_screen(const json::value& answer, const Look& look) {
  std::vector<Row> rows;
  for (const json::value& each : list_of(answer, "items")) {
    const bool equal = flag_of(each, "equal");
    const std::string state =
        flag_of(each, "bound") ? (equal ? "bound" : "bound, not wanted") : "wanted, not bound";
    rows.push_back({text_of(each, "address"), Cell(state, equal ? Colour::kGood : Colour::kBad),
                    text_of(each, "service")});
  }
  return table({"ADDRESS", "KERNEL", "SERVICE"}, rows, look.colours);
}

std::string conditions_screen(const json::value& answer, const Look& look) {
  std::vector<Row> rows;
  for (const char* part : {"node", "objects"}) {
    for (const json::value& each : list_of(answer, part)) {
      const std::string object = text_of(each, "object");
      rows.push_back({object.empty() ? "this node" : object, text_of(each, "reason"),
                      text_of(each, "since"),
                      Cell((text_of(each, "field").empty() || !object.empty()
                                ? ""
                                : text_of(each, "field") + ": ") +
                               text_of(each, "message"),
                           Colour::kAttention)});
    }
  }
  return table({"OBJECT", "REASON", "SINCE", "MESSAGE"}, rows, look.colours);
}

std::string history_screen(const json::value& answer, const Look& look) {
  std::vector<Row> rows;
  for (const json::value& each : list_of(answer, "items")) {
    const std::string command = text_of(each, "command");
    // The sets follow the virtual servers; who wants them asks for -o wide.
    if (!look.wide && command.ends_with("SETELEM")) continue;
    std::string change = text_of(each, "before");
    const std::string after = text_of(each, "after");
    change = change.empty() ? after : after.empty() ? change + " -> gone" : change + " -> " + after;
    std::string object = text_of(each, "object");
    if (const std::string endpoint = text_of(each, "endpoint"); !endpoint.empty()) {
      object += " -> " + endpoint;
    }
    std::string why;
    if (const json::value* cause = field(each, "cause")) {
      why = text_of(*cause, "object") + " " + text_of(*cause, "verb");
      const std::string version = text_of(*cause, "resourceVersion");
      if (!version.empty()) why += " (resourceVersion " + version + ")";
      if (look.wide) why += ", seen " + text_of(*cause, "seen");
    }
    const std::string result = text_of(each, "result");
    rows.push_back({text_of(each, "at"), command, object, change,
                    Cell(result, result == "done" ? Colour::kGood : Colour::kBad),
                    text_of(each, "service"), why});
  }
  return table({"TIME", "COMMAND", "OBJECT", "STATE", "RESULT", "SERVICE", "CAUSE"}, rows,
               look.colours);
}

std::string table_screen(const json::value& answer, const Look& look) {
  std::vector<Row> rows;
  for (const json::value& each : list_of(answer, "items")) {
    rows.push_back({text_of(each, "object"), text_of(each, "endpoint"), text_of(each, "state")});
  }
  std::string out = table({"OBJECT", "ENDPOINT", "STATE"}, rows, look.colours);
  const std::string warning = text_of(answer, "warning");
  return warning.empty() ? out : out + "note: " + shown(warning) + "\n";
}

std::string yaml_text(const json::value& answer) {
  YAML::Emitter out;
  emit(out, answer);
  return std::string(out.c_str()) + "\n";
}

}  // namespace agent
