// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_command.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <utility>

#include "agent/app.hpp"
#include "agent/log/log.hpp"
#include "agent/plan/plan.hpp"
#include "agent/plan/plan_json.hpp"
#include "agent/plan/plan_kernel.hpp"
#include "agent/plan/summary.hpp"
#include "agent/prepare_kernel.hpp"
#include "config/read_file.hpp"
#include "ipvs/host/ip_text.hpp"
#include "ipvs/nftables/table_text.hpp"
#include "ipvs/virtual_servers/ipvsadm_text.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kBetweenLooks{20};

constexpr std::size_t kLargestPlan = std::size_t{1} << 30;

void no_plan(const std::string& why) { log_error("There is no plan", {{kErr, why}}); }

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int print_difference(const std::vector<std::string>& lines) {
  if (lines.empty()) std::puts("no difference");
  for (const std::string& line : lines) std::puts(line.c_str());
  return lines.empty() ? kNoDifference : kDifference;
}

// The list of many Services comes in pieces.
boost::asio::awaitable<void> append(std::string* text, std::string_view piece) {
  text->append(piece);
  co_return;
}

// The agent up to its first complete table.
class Rehearsal {
 public:
  Rehearsal(const config::Config& config, PlanKernel& kernel, std::optional<k8s::ApiAccess> access)
      : kernel_(kernel),
        config_(quiet(config)),
        app_(context_, config_, kernel, std::move(access)) {
    app_.only_plan();
  }

  // False: there is no plan, and the log says why.
  bool run(std::chrono::milliseconds timeout) {
    app_.start();
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!app_.is_complete() && !app_.exit_code() && std::chrono::steady_clock::now() < end) {
      context_.run_for(kBetweenLooks);
    }
    if (!app_.is_complete() && !app_.exit_code())
      no_plan("no complete list of all objects in time");
    return app_.is_complete();
  }

  OwnerOf owner_of() const {
    return [this](const ipvs::ServerKey& key) {
      const ipvs::Owner* owner = app_.desired().owner_of(key);
      return owner != nullptr ? std::string(*owner) : std::string();
    };
  }

  std::set<std::string> refused() const {
    return refused_lines(json::value(app_.answers().conditions()));
  }

  // Every Service with its endpoints, as `get endpoints` shows them.
  json::value services() {
    const ServiceQuery all;
    std::string text;
    bool has_ended = false;
    const auto write = [&text](std::string_view piece) { return append(&text, piece); };
    boost::asio::co_spawn(context_, app_.answers().services().write(all, true, write),
                          [&has_ended](const std::exception_ptr& error) {
                            has_ended = true;
                            if (error) std::rethrow_exception(error);
                          });
    while (!has_ended) context_.run_one();
    return json::parse(text);
  }

  Plan plan() const {
    const auto& own = app_.node_view().addresses.own();
    return plan_of(kernel_.after(), owner_of(),
                   {.name = config_.node_name, .addresses = {own.begin(), own.end()}}, refused());
  }

 private:
  // Nobody may think that this is the agent which serves the node.
  static config::Config quiet(config::Config config) {
    config.metrics_bind.reset();
    config.healthz_bind.reset();
    return config;
  }

  const PlanKernel& kernel_;
  const config::Config config_;
  boost::asio::io_context context_{1};
  App app_;
};

std::string unread_line(const std::vector<std::string>& unread) {
  std::string text = "without CAP_NET_ADMIN not read, and so not compared: ";
  for (std::size_t i = 0; i < unread.size(); ++i) text += (i == 0 ? "" : ", ") + unread[i];
  return text + "\n";
}

// What the node has that no Service wants.
std::size_t count_foreign(const KernelPicture& after, const OwnerOf& owner_of) {
  std::size_t count = 0;
  for (const auto& [key, server] : after.servers) count += owner_of(key).empty() ? 1 : 0;
  return count;
}

int compare_with_kernel(PlanRequest request) {
  PlanKernel kernel(request.kernel);
  if (const auto observed = kernel.observe(); !observed) {
    no_plan(observed.error().text());
    return kNoPlan;
  }
  if (!kernel.unread().empty()) std::fputs(unread_line(kernel.unread()).c_str(), stderr);
  Rehearsal rehearsal(request.config, kernel, std::move(request.access));
  if (!rehearsal.run(request.timeout)) return kNoPlan;
  const int code =
      print_difference(difference_lines(kernel.before(), kernel.after(), rehearsal.owner_of()));
  if (!kernel.before().has_table && kernel.unread().empty()) {
    std::fputs("nftables: the table inet kube-ipvs would be installed\n", stderr);
  }
  if (const std::size_t foreign = count_foreign(kernel.after(), rehearsal.owner_of());
      foreign > 0) {
    std::fprintf(stderr, "%zu virtual servers that no Service wants are left alone\n", foreign);
  }
  return code;
}

PlanKernel kernel_for(const config::Config& config, ipvs::Kernel& host) {
  return {host, {config.node_addresses.begin(), config.node_addresses.end()}};
}

// Without files of the agent that serves this node.
config::Config without_files(config::Config config) {
  config.run_dir.clear();
  return config;
}

// Says for which node it is: its addresses decide where node ports are.
void print_node(const PlanNode& node, bool is_this_host) {
  std::string text = "for node " + node.name + " with the addresses ";
  const char* separator = "";
  for (const ipvs::Address& each : node.addresses)
    text += std::exchange(separator, ", ") + each.to_string();
  if (node.addresses.empty()) text += "none";
  text += is_this_host ? " (of this host; --node-addresses gives others)\n" : "\n";
  std::fputs(text.c_str(), stderr);
}

void print_ipvsadm(const Plan& plan) {
  std::vector<ipvs::Server> servers;
  for (const auto& [key, server] : plan.servers) servers.push_back(server);
  const ipvs::IpvsadmText text = ipvs::ipvsadm_text(servers);
  print(text.commands);
  for (const std::string& each : text.left_out)
    std::fprintf(stderr, "# left out: %s\n", each.c_str());
}

void print_plan(const config::Config& config, const PlanKernel& kernel, const Plan& plan,
                Rehearsal& rehearsal) {
  const ipvs::HostSettings host = host_settings(config);
  switch (config.plan_form) {
    case config::PlanForm::kIpvsadm:
      return print_ipvsadm(plan);
    case config::PlanForm::kNft:
      return print(ipvs::table_text(kernel.after().rules.value_or(ipvs::TableRules()),
                                    kernel.after().elements));
    case config::PlanForm::kIp:
      return print(ipvs::ip_text(plan.addresses, host.vip_binding,
                                 {.v4 = host.route_source_v4, .v6 = host.route_source_v6}));
    case config::PlanForm::kJson:
      return print(json::serialize(to_json(plan)) + "\n");
    default:
      return print(summary_text(rehearsal.services(), plan.refused));
  }
}

// A saved plan, or that of the settings in the file; nullopt: there is none, and the log says why.
std::optional<Plan> compared_plan(const PlanRequest& request) {
  const std::string& path = request.config.compare_with;
  const config::FileText file = config::read_file(path, kLargestPlan);
  if (!file.fault.empty()) {
    no_plan("--compare-with: " + path + ": " + file.fault);
    return std::nullopt;
  }
  boost::system::error_code error;
  const json::value saved = json::parse(file.text, error);
  if (!error && is_plan(saved)) {
    auto plan = read_plan(saved);
    if (plan) return std::move(*plan);
    no_plan("--compare-with: " + path + ": " + plan.error().what);
    return std::nullopt;
  }
  const config::ParseOutcome other = request.load_compared();
  for (const config::Fault& fault : other.faults) no_plan("--compare-with: " + fault.text());
  if (!other.config) return std::nullopt;
  PlanKernel kernel = kernel_for(*other.config, request.kernel);
  Rehearsal rehearsal(without_files(*other.config), kernel, request.access);
  if (!rehearsal.run(request.timeout)) return std::nullopt;
  return rehearsal.plan();
}

}  // namespace

int run_plan(PlanRequest request) {
  const config::Config& config = request.config;
  const bool is_difference = config.against_kernel || config.plan_form == config::PlanForm::kDiff;
  if (is_difference && config.compare_with.empty()) return compare_with_kernel(std::move(request));
  std::optional<Plan> other;
  if (!config.compare_with.empty()) {
    other = compared_plan(request);
    if (!other) return kNoPlan;
  }
  PlanKernel kernel = kernel_for(config, request.kernel);
  Rehearsal rehearsal(without_files(config), kernel, std::move(request.access));
  if (!rehearsal.run(request.timeout)) return kNoPlan;
  const Plan plan = rehearsal.plan();
  print_node(plan.node, config.node_addresses.empty());
  if (other) return print_difference(plan_difference(*other, plan));
  print_plan(config, kernel, plan, rehearsal);
  return kNoDifference;
}

}  // namespace agent
