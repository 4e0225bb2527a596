// SPDX-License-Identifier: Apache-2.0
//
// A changed file of --config, while the agent runs: read, validated as a whole by the code and with
// the flags of the start, and applied, or refused.
//
//   file changed, or SIGHUP
//     -> read, with a second look 300 ms later at a file with faults: it may be half written
//     -> faults                        refused: one message with all of them; nothing is changed
//     -> a scheduler the kernel lacks  refused
//     -> differs in live options       applied, all of them at once (config/difference.hpp)
//     -> differs in others             reported once: "needs a restart", which is the operator's to do
//
// Whatever happens to the file, the work for it is bounded. It is read at most five times a second;
// after a reading that took long, the next one waits twenty times as long, up to two seconds. While it
// is refused, its state is checked every five seconds, because a change of rights is no event.
//
// Threading: the agent's io_context thread.
// Errors: a refusal is a warning, an Event of the Node, a condition of the node, and a metric.
// Metrics: kube_ipvs_config_reloads_total, kube_ipvs_config_last_reload_successful,
//          kube_ipvs_config_last_reload_success_timestamp_seconds, kube_ipvs_config_restart_needed.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/config_file_watch.hpp"
#include "config/config.hpp"
#include "config/difference.hpp"
#include "config/parse.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {

class ConfigReload {
 public:
  enum class Result : std::uint8_t { kApplied, kRefused, kUnchanged };

  struct Parts {
    // Reads the file as at the start.
    std::function<config::ParseOutcome()> load;
    // What is in force.
    std::function<const config::Config&()> current;
    // Why the kernel would refuse what is new; "": nothing speaks against it.
    std::function<boost::asio::awaitable<std::string>(const config::Config& next,
                                                      const config::Difference& changed)>
        try_out;
    std::function<boost::asio::awaitable<void>(config::Config next,
                                               const config::Difference& changed)>
        apply;
    // Of each reading. `why`: of a refusal.
    std::function<void(Result result, const std::string& why)> conclude;
    std::function<void(bool needed)> restart_needed;
    std::function<void(const std::string& line)>
        warn;  // of a change that needs a restart, and such
    std::function<void(const std::string& line)> note;
  };
  struct Pace {
    std::chrono::milliseconds settle{200};  // from a change to the reading
    std::chrono::milliseconds grace{300};   // until a file with faults is read again
    std::chrono::milliseconds look{5000};   // at a refused file, and without inotify
  };

  ConfigReload(boost::asio::any_io_executor executor, const std::string& path, Parts parts);
  ConfigReload(boost::asio::any_io_executor executor, const std::string& path, Parts parts,
               Pace pace);

  const std::string& path() const { return watch_.path(); }
  // Follows the file until the tasks are cancelled.
  void start(TaskGroup& tasks);
  // SIGHUP: reads it now, changed or not.
  void ask();

 private:
  // What tells one state of the file from another without reading it.
  struct Look {
    int error = 0;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t written_ns = 0, changed_ns = 0;
    bool operator==(const Look&) const = default;
  };
  Look look() const;
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> wait_for_change();
  boost::asio::awaitable<config::ParseOutcome> load();
  config::ParseOutcome load_once();
  boost::asio::awaitable<void> reload(bool is_asked);
  void refuse(const std::string& why, bool is_asked);
  void report_restart(const std::vector<config::Difference::Change>& changes);
  void report_warnings(std::vector<std::string> warnings);

  boost::asio::any_io_executor executor_;
  const Parts parts_;
  const Pace pace_;
  ConfigFileWatch watch_;
  bool is_asked_ = false;
  Look last_look_;
  std::chrono::steady_clock::duration last_cost_{};
  bool is_first_ = true;               // reading
  std::string refused_;                // why; "": the file is in force
  std::string restart_;                // what needs one; "": nothing
  std::vector<std::string> warnings_;  // of the file that was accepted last
};

}  // namespace agent
