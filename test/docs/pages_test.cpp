// SPDX-License-Identifier: Apache-2.0
//
// Pages that are generated from the program's own tables: config/flags.md, config/kube-proxy.md and
// agent/report/metrics.md; and
// agent/decide/annotations.md, which is written by hand and compared with what the reader of annotations accepts.
//
// After a change of a table: `test/docs/write_pages` writes the generated pages again.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "agent/decide/service_options.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/slis.hpp"
#include "agent/report/traffic_metrics.hpp"
#include "config/help.hpp"
#include "config/ignored_options.hpp"
#include "config/options.hpp"
#include "config/policies.hpp"
#include "config/upstream.hpp"
#include "test/docs/pages.hpp"

namespace {

using namespace pages;  // NOLINT: read(), compare() and others

std::string head_of(const std::string& title, const std::string& table) {
  return "<!-- SPDX-License-Identifier: Apache-2.0 -->\n<!-- Generated from " + table +
         " by test/docs/write_pages. Do not edit. -->\n# " + title + "\n";
}

std::string code(std::string_view text) {
  return text.empty() ? std::string() : "`" + std::string(text) + "`";
}

std::string row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += cell.empty() ? " |" : " " + std::regex_replace(cell, std::regex("\\|"), "\\|") + " |";
  }
  return line + "\n";
}

std::string table_head(const std::vector<std::string>& cells) {
  std::string line = "\n" + row(cells) + "|";
  for (std::size_t i = 0; i < cells.size(); ++i) line += "---|";
  return line + "\n";
}

// --- config/flags.md -----------------------------------------------------------------------------

std::string flags_page() {
  std::string page = head_of("Flags and keys", "the tables in config/");
  page +=
      "\nA flag is `--name VALUE` or `--name=VALUE`; a switch (no VALUE below) is `--name`, "
      "`--name=true` or `--name=false`.\n"
      "DURATION is a number with a unit, or several: `900s`, `15m`, `1h30m`. CIDRS are networks "
      "separated by commas.\n"
      "\nThe file of `--config` has the same settings; `examples/kube-ipvs.yaml` shows each at its "
      "default. Its kind is\n"
      "`KubeIpvsConfiguration`, with the keys below, or kube-proxy's `KubeProxyConfiguration`, "
      "with "
      "its keys. Flags win over\nthe file.\n"
      "\nWhen the file changes, it is read again and checked as a whole. `live`: `yes` takes "
      "effect at "
      "once, without a restart\nand without a failed request; `restart` is reported and waits for "
      "the "
      "next start. A file with a fault changes nothing.\n";
  const std::string help = config::help_text("kube-ipvs");
  std::string heading;
  for (const config::Option& option : config::options()) {
    const std::string own = option.flag.empty() ? heading : heading_of(option, help);
    if (own != heading) {
      heading = own;
      page += "\n## " + heading + "\n" +
              table_head({"flag", "meaning", "default", "key", "kube-proxy's key", "live"});
    }
    std::string flag = option.flag.empty() ? "" : code(spelling(option));
    if (!option.alias.empty()) flag += " or " + code("--" + std::string(option.alias));
    page += row({flag, std::string(option.help), default_of(option),
                 code(option.own_key.empty() ? option.key : option.own_key), code(option.key),
                 option.live ? (*option.live ? "yes" : "restart") : ""});
  }
  page +=
      "\n## Flags and keys of kube-proxy that do nothing\n\nThey are accepted, with a warning.\n";
  page += table_head({"flag", "kube-proxy's key", "why"});
  for (const config::IgnoredOption& option : config::ignored_options()) {
    std::string why(option.reason);
    if (!option.silent.empty()) why += "; no warning for " + code(option.silent);
    page += row(
        {option.flag.empty() ? "" : code("--" + std::string(option.flag)), code(option.key), why});
  }
  return page;
}

// --- config/kube-proxy.md ------------------------------------------------------------------------

const config::IgnoredOption* ignored_for(const config::UpstreamOption& upstream) {
  for (const config::IgnoredOption& option : config::ignored_options()) {
    if (!upstream.flag.empty() && option.flag == upstream.flag) return &option;
    const bool has_key =
        !option.key.empty() && !upstream.key.empty() &&
        (upstream.key == option.key || upstream.key.starts_with(std::string(option.key) + "."));
    if (upstream.flag.empty() && has_key) return &option;
  }
  return nullptr;
}

const config::Option* option_for(const config::UpstreamOption& upstream) {
  if (!upstream.flag.empty()) return config::find_option(upstream.flag);
  for (const config::Option& option : config::options()) {
    if (option.key == upstream.key) return &option;
  }
  return nullptr;
}

std::string reason_of(const config::IgnoredOption& option) {
  std::string why(option.reason);
  if (!option.silent.empty()) why += "; no warning for " + code(option.silent);
  return why;
}

// What becomes of it: "obeyed" or "ignored", and a word on it.
std::pair<std::string, std::string> treatment_of(const config::UpstreamOption& upstream) {
  constexpr std::string_view kWithoutEffect = "accepted, without effect: ";
  if (const config::Option* option = option_for(upstream)) {
    if (option->help.starts_with(kWithoutEffect))
      return {"ignored", std::string(option->help.substr(kWithoutEffect.size()))};
    return {"obeyed", std::string(option->help)};
  }
  if (const config::IgnoredOption* option = ignored_for(upstream))
    return {"ignored", reason_of(*option)};
  return {};
}

bool is_upstream_flag(std::string_view flag) {
  const auto all = config::upstream_options();
  return std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.flag == flag; });
}

std::string kube_proxy_page() {
  std::string page = head_of("In place of kube-proxy", "the tables in config/");
  page +=
      "\nA command line and a `KubeProxyConfiguration` that were written for kube-proxy are taken "
      "as they are. This page has\n"
      "every flag and field that kube-proxy has on Linux in any release from 1.20 to 1.37, and "
      "where kube-ipvs decides\n"
      "otherwise. What is ignored causes one warning, unless it asks for what kube-ipvs does "
      "anyway. A wrong value of what is\n"
      "obeyed is refused, with its place and the values that are allowed.\n"
      "\nStarted under the name `kube-proxy` (a link is enough), the default of "
      "`--endpoint-source` is `endpointslice`, for which\nthe role `system:node-proxier` is "
      "enough, "
      "and one line at the start names the decisions below that "
      "`--compat=kube-proxy`\nchanges. `--version` prints `kube-ipvs v` and three numbers: the "
      "version of kube-ipvs, not of a Kubernetes.\n"
      "\n## Decisions\n";
  page += table_head({"what", "kube-proxy's ipvs mode", "kube-ipvs", "`--compat=kube-proxy`"});
  for (const config::Policy& policy : config::policies()) {
    page += row({std::string(policy.what), std::string(policy.kube_proxy), std::string(policy.ours),
                 policy.compat ? "as kube-proxy" : ""});
  }
  page +=
      "\n## Flags and fields\n\nSince: the first release that has it, if that is after 1.20. "
      "Until: "
      "the last one, if that is before 1.37.\n";
  page +=
      table_head({"flag", "field", "since", "until", "", "what it does, or why it does nothing"});
  for (const config::UpstreamOption& upstream : config::upstream_options()) {
    const auto [verdict, what] = treatment_of(upstream);
    page += row({upstream.flag.empty() ? "" : code("--" + std::string(upstream.flag)),
                 code(upstream.key), std::string(upstream.since), std::string(upstream.until),
                 verdict, what});
  }
  page +=
      "\n## Flags of earlier releases and of libraries\n\nAll of these are ignored. kube-proxy had "
      "them before 1.20, or has them from libraries and does not read them.\n";
  page += table_head({"flag", "field", "why"});
  for (const config::IgnoredOption& option : config::ignored_options()) {
    if (option.flag.empty() || is_upstream_flag(option.flag)) continue;
    page += row({code("--" + std::string(option.flag)), code(option.key), reason_of(option)});
  }
  return page;
}

// --- agent/report/metrics.md ---------------------------------------------------------------------

struct FamilyOnPage {
  std::string help;
  std::string type = "untyped";
  std::set<std::string> labels;
};

std::string slis_text() {
  agent::Slis slis;
  slis.note("healthz", true);
  return slis.text();
}

std::string metrics_text() {
  agent::Metrics metrics;
  metrics.kernel_error("NEW_DEST", ENOMEM);
  metrics.drift("server");
  metrics.connections_cut({.ns = "default", .name = "web"}, "pod_gone", 1);
  metrics.connections_drained({.ns = "default", .name = "web"}, 1);
  metrics.set_draining({{.service = {.ns = "default", .name = "web"}}});
  metrics.set_dns_requests("udp", "A", "NOERROR", 1);
  metrics.serves_ipv6(true);
  metrics.api_request(
      {.method = "GET", .host = "", .status = 200, .time = std::chrono::milliseconds(1)});
  metrics.source_fault("decode");
  metrics.event("posted");
  metrics.config_loaded(0);
  metrics.health_answered(false, 200);
  metrics.health_answered(true, 200);
  metrics.set({.conditions = {{"KernelRefused", 1}}});
  metrics.set_source({{.kind = "Pod"}});
  return metrics.text();
}

boost::asio::awaitable<void> append(std::string& text, std::string_view piece) {
  text += piece;
  co_return;
}

std::string traffic_text() {
  agent::TrafficPage page;
  page.add({.ns = "default",
            .service = "web",
            .port = "http",
            .endpoints = {{.endpoint = {}, .pod = "web-1"}}});
  std::string text;
  const agent::TextWriter write = [&](std::string_view piece) { return append(text, piece); };
  boost::asio::io_context context;
  std::exception_ptr error;
  boost::asio::co_spawn(context, page.write(write), [&](std::exception_ptr e) { error = e; });
  context.run();
  if (error) std::rethrow_exception(error);
  return text;
}

// The family of a sample: a histogram's samples have a suffix.
std::string family_of(const std::string& sample, const std::map<std::string, FamilyOnPage>& all) {
  for (const char* suffix : {"", "_bucket", "_sum", "_count"}) {
    if (!sample.ends_with(suffix)) continue;
    const std::string name = sample.substr(0, sample.size() - std::string(suffix).size());
    if (all.contains(name)) return name;
  }
  FAIL("no family for " << sample);
  return {};
}

void read_labels(const std::string& line, FamilyOnPage& family) {
  static const std::regex kLabel(R"re([{,]([a-z_]+)=")re");
  for (std::sregex_iterator at(line.begin(), line.end(), kLabel), end; at != end; ++at) {
    if ((*at)[1] != "le") family.labels.insert((*at)[1]);
  }
}

std::map<std::string, FamilyOnPage> families(const std::string& text) {
  std::map<std::string, FamilyOnPage> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, keyword, name, rest;
    if (line.starts_with("# ")) {
      words >> hash >> keyword >> name >> std::ws;
      std::getline(words, rest);
      (keyword == "HELP" ? all[name].help : all[name].type) = rest;
    } else {
      read_labels(line, all.at(family_of(line.substr(0, line.find_first_of("{ ")), all)));
    }
  }
  return all;
}

std::string unit_of(const std::string& name) {
  if (name.find("_seconds") != std::string::npos) {
    return name.find("timestamp") != std::string::npos ||
                   name.find("start_time") != std::string::npos
               ? "seconds since 1970"
               : "seconds";
  }
  return name.find("bytes") != std::string::npos ? "bytes" : "number";
}

std::string join(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + code(word);
  return text;
}

std::string metrics_table(const std::map<std::string, FamilyOnPage>& all) {
  std::string table = table_head({"metric", "type", "labels", "unit", "meaning"});
  for (const auto& [name, family] : all) {
    table += row({code(name), family.type, join(family.labels), unit_of(name), family.help});
  }
  return table;
}

std::string metrics_page() {
  std::string page = head_of("Metrics", "what /metrics exports");
  page +=
      "\nServed at `--metrics-bind-address` in Prometheus' text format, compressed with gzip for "
      "clients "
      "that ask for it:\n"
      "\n* `/metrics`: the agent, the traffic of Services, and that of the endpoints that "
      "`--metrics-endpoints` asks for;\n"
      "* `/metrics/endpoints`: the traffic of all endpoints, to be scraped more rarely, by a job "
      "of "
      "its own;\n"
      "* `/metrics/slis`: the results of health checks.\n"
      "\nNames that begin with `kubeproxy_` and `rest_client_` are kube-proxy's, with its labels, "
      "buckets and meaning. One loop\n"
      "serves both families: what a sync takes is observed for each `ip_family` that this node "
      "serves. kube-proxy's `go_*` and\n"
      "`kubernetes_build_info` are left out: there are no goroutines, and a version of our own "
      "among "
      "those of Kubernetes would\nfire the alert KubeVersionMismatch.\n"
      "A counter starts at 0 with the process. A family with labels appears once there is "
      "something to count.\n"
      "\n## The agent\n";
  page += metrics_table(families(metrics_text()));
  page +=
      "\n`kubeproxy_sync_proxy_rules_no_local_endpoints_total` is a gauge whose name ends like a "
      "counter's. kube-proxy calls it\n"
      "so; it is exported without a type, because promtool objects to a gauge of that name.\n"
      "`kubeproxy_network_programming_duration_seconds` begins, for an EndpointSlice, at its "
      "annotation\n"
      "`endpoints.kubernetes.io/last-change-trigger-time`; for a Pod, when its condition Ready "
      "changed or its deletion was\n"
      "requested; with `--manifests`, when the file changed. These times have whole seconds and "
      "are of other clocks; what\n"
      "began before this process is not counted.\n"
      "`kubeproxy_sync_proxy_rules_iptables_restore_failures_total` counts what comes nearest to "
      "that: refused nftables rules.\n"
      "\n## Traffic of Services\n"
      "\nFrom the kernel's 64-bit counters, summed over the virtual servers of a Service port "
      "(cluster IP, external IPs, node\n"
      "ports). The sums stay monotonic when a virtual server or a destination is deleted and made "
      "again. `port` is the port's\n"
      "name, or its number if it has none; `endpoint` is `address:port`; `pod` is empty if no Pod "
      "is "
      "known.\n"
      "\n`/metrics` has the endpoints of no Service with `--metrics-endpoints=off`, of those with "
      "the annotation\n"
      "`kube-ipvs.io/metrics` with `annotated` (the default), and of every Service with `all`. "
      "`/metrics/endpoints` has them\nall, whatever the flag says.\n";
  page += metrics_table(families(traffic_text()));
  page +=
      "\n## /metrics/slis\n"
      "\n`type` is the path that answered, `healthz`, `livez` or `readyz`, of either port; `name` "
      "is "
      "`ping`, as with kube-proxy.\nA scrape is a check of `healthz`, too.\n";
  return page + metrics_table(families(slis_text()));
}

// Everything in the sources that looks like the name of a metric.
std::set<std::string> names_in_source(const std::string& path) {
  static const std::regex kName(R"re("((?:kubeproxy|kube_ipvs|process|rest_client)_[a-z_]+)")re");
  const std::string text = read(path);
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at) {
    names.insert((*at)[1]);
  }
  return names;
}

// --- agent/decide/annotations.md -----------------------------------------------------------------

struct Annotation {
  std::string name;
  std::optional<std::pair<long, long>> range;
  std::string value;
};

// The rows of the page's tables: name, values, meaning.
std::vector<Annotation> annotations(const std::string& page) {
  static const std::regex kRow(R"re(\| `([^`]+/[^`]+)` \| ([^|]+) \|.*)re");
  static const std::regex kRange(R"re((\d+) to (\d+).*)re");
  std::vector<Annotation> found;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    std::smatch cells, numbers;
    if (!std::regex_match(line, cells, kRow)) continue;
    Annotation annotation{.name = cells[1], .range = std::nullopt, .value = cells[2]};
    if (std::regex_match(annotation.value, numbers, kRange)) {
      annotation.range = {std::stol(numbers[1]), std::stol(numbers[2])};
    }
    found.push_back(std::move(annotation));
  }
  return found;
}

// Whether the agent honours `value`: on a Pod or an EndpointSlice for the weight, else on a Service with a scheduler that
// uses weights and one that takes flags.
bool honours(const std::string& name, const std::string& value) {
  k8s::Meta meta;
  meta.annotations[name] = value;
  if (name == "kube-ipvs.io/weight") return agent::read_pod_weight(meta).weight.has_value();
  if (name == "service.cilium.io/weight") return agent::read_slice_weight(meta).weight.has_value();
  return agent::read_service_options({{name, value}}, {.scheduler = "wrr"}).faults.empty();
}

}  // namespace

TEST_CASE("the page of flags is what the table of options says") {
  compare("config/flags.md", flags_page());
}

TEST_CASE("the page of kube-proxy's flags and fields is what the tables say (18.5)") {
  compare("config/kube-proxy.md", kube_proxy_page());
}

TEST_CASE("every flag and field of kube-proxy 1.20 to 1.37 is obeyed or ignored (18.5)") {
  std::set<std::string_view> seen;
  for (const config::UpstreamOption& upstream : config::upstream_options()) {
    INFO(upstream.flag << " " << upstream.key);
    CHECK_FALSE(treatment_of(upstream).first.empty());
    if (!upstream.flag.empty()) CHECK(seen.insert(upstream.flag).second);
    if (upstream.key.empty()) continue;
    CHECK(seen.insert(upstream.key).second);
    // The field has the same fate as the flag.
    const bool same = treatment_of({.key = upstream.key}).first == treatment_of(upstream).first;
    CHECK(same);
  }
}

TEST_CASE("every key that is called kube-proxy's is one of its fields (18.5)") {
  std::set<std::string_view> fields;
  for (const config::UpstreamOption& upstream : config::upstream_options()) {
    fields.insert(upstream.key);
  }
  for (const config::Option& option : config::options()) {
    INFO(option.flag);
    CHECK((option.key.empty() || fields.contains(option.key)));
  }
}

TEST_CASE("the page of metrics is what /metrics exports") {
  compare("agent/report/metrics.md", metrics_page());
}

TEST_CASE("every metric that the sources name is on the page of metrics") {
  const std::string page = read("agent/report/metrics.md");
  std::set<std::string> names = names_in_source("agent/report/metric_families.hpp");
  names.merge(names_in_source("agent/report/metrics.cpp"));
  CHECK(names.size() > 30);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(page.find("`" + name + "`") != std::string::npos);
  }
}

TEST_CASE(
    "every annotation on its page is honoured in the range that the page gives, and not beyond") {
  const std::vector<Annotation> all = annotations(read("agent/decide/annotations.md"));
  CHECK(all.size() == 9);
  for (const Annotation& annotation : all) {
    if (!annotation.range) continue;
    const auto [least, most] = *annotation.range;
    INFO(annotation.name);
    CHECK(honours(annotation.name, std::to_string(least)));
    CHECK(honours(annotation.name, std::to_string(most)));
    CHECK_FALSE(honours(annotation.name, std::to_string(least - 1)));
    CHECK_FALSE(honours(annotation.name, std::to_string(most + 1)));
  }
}

TEST_CASE("the page of annotations names those that the sources name, and no others") {
  static const std::regex kName(R"re("((?:kube-ipvs|kube-router|service.cilium)\.io/[a-z.-]+)")re");
  const std::string source = read("agent/decide/service_options.cpp");
  std::set<std::string> in_source, on_page;
  for (std::sregex_iterator at(source.begin(), source.end(), kName), end; at != end; ++at) {
    in_source.insert((*at)[1]);
  }
  for (const Annotation& annotation : annotations(read("agent/decide/annotations.md"))) {
    on_page.insert(annotation.name);
  }
  CHECK(on_page == in_source);
}

TEST_CASE("the flags of a hashing scheduler on the page are those that are honoured") {
  for (const char* flags : {"fallback", "port", "fallback,port", "none"}) {
    INFO(flags);
    CHECK(read("agent/decide/annotations.md").find(std::string("`") + flags + "`") !=
          std::string::npos);
    CHECK(
        agent::read_service_options({{"kube-ipvs.io/scheduler-flags", flags}}, {.scheduler = "mh"})
            .faults.empty());
  }
}
