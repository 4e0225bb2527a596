// SPDX-License-Identifier: Apache-2.0
//
// kube-ipvs: reads the configuration, prepares the kernel, and runs the agent.
#include <malloc.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>

#include "agent/app.hpp"
#include "agent/ask/run_question.hpp"
#include "agent/decide/api_address.hpp"
#include "agent/instance_lock.hpp"
#include "agent/log/log.hpp"
#include "agent/plan_command.hpp"
#include "agent/prepare_kernel.hpp"
#include "agent/process_settings.hpp"
#include "agent/report/log.hpp"
#include "agent/report/notify_socket.hpp"
#include "agent/run_dir.hpp"
#include "agent/stop_signals.hpp"
#include "config/compared.hpp"
#include "config/parse.hpp"
#include "config/policies.hpp"
#include "config/printable.hpp"
#include "config/version.hpp"
#include "config/write.hpp"
#include "ipvs/linux_kernel.hpp"

namespace {

constexpr std::chrono::milliseconds kTimeToEnd{300};

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

// For --help.
std::size_t terminal_columns() {
  winsize size{};
  const bool is_terminal = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_terminal ? size.ws_col : config::kHelpColumns;
}

int refuse(const std::string& why) {
  agent::write_all_repeats();
  constexpr std::size_t kMaxReason = 16'384;
  std::fprintf(stderr, "kube-ipvs: %s\n", config::printable(why, kMaxReason).c_str());
  return 1;
}

std::vector<ipvs::Network> excluded(const config::Config& config) {
  std::vector<ipvs::Network> networks;
  for (const config::Network& each : config.ipvs_exclude_cidrs) {
    networks.push_back({each.address, each.prefix_length});
  }
  return networks;
}

// A signal ends the wait, and the process.
void wait_for_lock(agent::InstanceLock& lock, const agent::NotifySettings& notify) {
  agent::NotifySocket manager(notify.socket);
  std::string reported;
  for (auto state = lock.take(); state == agent::InstanceLock::State::kTaken; state = lock.take()) {
    if (reported != lock.holder()) {
      reported = lock.holder();
      agent::log_warning("kube-ipvs runs here already: waiting until it ends",
                         {{"holder", reported}});
      manager.send(agent::notify_line("STATUS", "waiting until kube-ipvs (" + reported + ") ends"));
    }
    lock.wait();
  }
  if (!lock.why().empty()) agent::log_warning("No lock", {{agent::kErr, lock.why()}});
  if (!reported.empty())
    agent::log_info("The other one has ended: starting", {{"holder", reported}});
}

// What needs the most rights, so that the agent itself can run with fewer; it does the same at its
// start, and finds it done.
int prepare_only(const config::Config& config) {
  agent::catch_stop_signals(1);
  agent::InstanceLock lock(config.run_dir);
  if (lock.take() == agent::InstanceLock::State::kTaken) {
    agent::log_info("--init-only: kube-ipvs runs here, so the kernel is prepared",
                    {{"holder", lock.holder()}});
    return 0;
  }
  ipvs::LinuxKernel kernel(config.run_dir, excluded(config));
  if (const std::string why = agent::prepare_kernel(config, kernel); !why.empty()) {
    return refuse(why);
  }
  agent::log_info("The kernel is prepared: --init-only does no more");
  return 0;
}

int write_config(const config::Config& config) {
  std::ofstream file(config.write_config_to, std::ios::trunc);
  file << config::to_yaml(config);
  file.close();
  if (!file) return refuse(config.write_config_to + ": cannot be written");
  agent::log_info("Wrote the configuration", {{"file", config.write_config_to}});
  return 0;
}

// What is done goes to standard output, line by line; what the operator should know, to the log.
int clean_up(const config::Config& config) {
  agent::catch_stop_signals(1);  // half of it done is a failure
  agent::InstanceLock lock(config.run_dir);
  if (!config.dry_run && lock.take() == agent::InstanceLock::State::kTaken) {
    return refuse("cleanup: kube-ipvs runs here (" + lock.holder() +
                  ") and would restore what is deleted: stop it first");
  }
  ipvs::LinuxKernel kernel(config.run_dir, excluded(config));
  const ipvs::CleanupReport report =
      kernel.cleanup({.handover = config.handover, .dry_run = config.dry_run});
  for (const ipvs::CleanupStep& step : report.steps) {
    std::printf("%s\n", ipvs::text(step, config.dry_run).c_str());
  }
  if (!config.dry_run && !config.handover) {
    for (const std::string& left : agent::remove_answers(config)) {
      agent::log_warning("cannot be removed: " + left);
    }
  }
  if (report.steps.empty() && report.faults.empty()) std::puts("nothing of kube-ipvs is here");
  for (const std::string& note : report.notes) agent::log_warning(note);
  for (const ipvs::KernelError& fault : report.faults) refuse(fault.text());
  return report.faults.empty() ? 0 : 1;
}

// What fills the tables; without an API server, manifests.
struct Access {
  std::optional<k8s::ApiAccess> api;
};

// Every health check node port needs a descriptor, and 1024 is the usual limit.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, 65536));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// nullopt: there is no way to the API server, or it is no use; the reason has been printed.
std::optional<Access> find_access(const config::Config& config) {
  Access access;
  if (!config.manifests.empty()) return access;
  auto found =
      k8s::find_api_access(config.kubeconfig, config.master, k8s::InCluster::from_environment(),
                           k8s::ProxyEnvironment::from_environment());
  if (!found) {
    refuse(found.error().text());
    return std::nullopt;
  }
  for (const std::string& warning : found->warnings) agent::log_warning(warning);
  if (const auto fault = k8s::find_identity_fault(*found)) {
    refuse(*fault);
    return std::nullopt;
  }
  access.api = std::move(*found);
  return access;
}

// The settings of this start, read again.
struct File {
  std::string path;  // of --config; "": there is none
  std::function<config::ParseOutcome()> load;
  std::function<config::ParseOutcome()> load_compared;  // the file of --compare-with
};

int plan(const config::Config& config, const File& file) {
  auto access = find_access(config);
  if (!access) return agent::kNoPlan;
  if (config.verbosity == 0) agent::set_verbosity(-1);
  ipvs::LinuxKernel kernel(config.run_dir, excluded(config));
  return agent::run_plan({.config = config,
                          .kernel = kernel,
                          .access = std::move(access->api),
                          .load_compared = file.load_compared});
}

int run_agent(const config::Config& config, const File& file, const agent::NotifySettings& notify) {
  auto found = find_access(config);
  if (!found) return 1;
  std::optional<k8s::ApiAccess> access = std::move(found->api);

  agent::InstanceLock lock(config.run_dir);
  wait_for_lock(lock, notify);
  ipvs::LinuxKernel kernel(config.run_dir, excluded(config));
  if (const std::string why = agent::prepare_kernel(config, kernel); !why.empty()) {
    return refuse(why);
  }
  if (access) {
    const char* service_address = std::getenv("KUBERNETES_PORT_443_TCP_ADDR");
    const auto why = agent::refuse_vip(*access, service_address ? service_address : "");
    if (why) return refuse(*why);
  }

  agent::log_info("Starting kube-ipvs", {{"version", config::kVersion},
                                         {"node", agent::object_name(config.node_name)},
                                         {"source", access ? "API server " + access->route()
                                                           : "manifests in " + config.manifests},
                                         {"scheduler", config.ipvs_scheduler}});
  if (config.as_kube_proxy && config.compat == config::Compat::kNone)
    agent::log_info(config::policies_line());
  raise_descriptor_limit();
  const std::string refused = agent::set_oom_score_adj(config.oom_score_adj);
  if (!refused.empty()) agent::log_warning(refused);
  boost::asio::io_context context(1);
  agent::App app(context, config, kernel, std::move(access), {}, {}, notify);
  if (!file.path.empty()) app.follow_file(file.path, file.load);
  const int code = app.run();
  agent::write_all_repeats();  // before the destructors, which may be cut short
  agent::end_within(kTimeToEnd, code);
  return code;
}

int carry_out(const config::Config& config, const File& file, const agent::NotifySettings& notify) {
  if (!config.write_config_to.empty()) return write_config(config);
  if (config.cleanup) return clean_up(config);
  if (config.plan) return plan(config, file);
  return config.init_only ? prepare_only(config) : run_agent(config, file, notify);
}

}  // namespace

int main(int argc, char** argv) {
  if (agent::is_question(argc, argv)) return agent::run_question(argc, argv);
  agent::catch_stop_signals();
  const agent::NotifySettings notify = agent::take_notify_settings();
  // Until the agent listens to them. The others: agent/stop_signals.hpp.
  for (const int number : {SIGUSR1, SIGUSR2}) std::signal(number, SIG_IGN);
  // One heap for both threads: memory that the kernel thread frees is soon needed by the other.
  ::mallopt(M_ARENA_MAX, 1);
  // Large blocks, as a list or a scrape needs them, return to the system when freed. Setting the
  // threshold also stops glibc from raising it to the size of a freed block.
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  const config::Environment environment{.host_name = host_name(), .columns = terminal_columns()};
  const auto load = [&] { return config::parse(argc, argv, environment); };
  const config::ParseOutcome parsed = load();
  if (parsed.print) {
    std::fputs(parsed.print->c_str(), stdout);
    return 0;
  }
  for (const config::Fault& fault : parsed.faults) refuse(fault.text());
  const int failure = parsed.is_plan ? agent::kNoPlan : 1;
  if (!parsed.config) return failure;

  agent::set_up_log(*parsed.config);
  for (const std::string& warning : parsed.config->warnings) agent::log_warning(warning);
  try {
    const auto load_compared = [&] {
      return config::parse_compared(*parsed.config, config::program_name(argc, argv), environment);
    };
    const int code = carry_out(*parsed.config, {parsed.config_file, load, load_compared}, notify);
    agent::write_all_repeats();
    return code;
  } catch (const std::exception& e) {
    refuse(e.what());
    return failure;
  }
}
