// SPDX-License-Identifier: Apache-2.0
//
// A ManifestSource over a real directory and real inotify; the clock and the timers are the test's.
// Nothing here waits for time to pass: the io_context runs until what the test waits for has been
// recorded.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <list>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "k8s/decode/values.hpp"
#include "k8s/manifests/source.hpp"
#include "test/fake/temporary_folder.hpp"

namespace k8s::manifest_test {

namespace fs = std::filesystem;
namespace asio = boost::asio;
using Lines = std::vector<std::string>;
using Milliseconds = ManifestOptions::Milliseconds;

class TemporaryDirectory {
 public:
  fs::path operator/(const std::string& name) const { return folder_.path(name); }

 private:
  fake::TemporaryFolder folder_;
};

inline void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

// Writes atomically: a temporary file, then rename.
inline void replace(const fs::path& file, const std::string& text) {
  const fs::path temporary = file.parent_path() / ("." + file.filename().string() + ".tmp");
  write(temporary, text);
  fs::rename(temporary, file);
}

inline std::string service(const std::string& name, int port = 80) {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         "}\nspec: {ports: [{port: " + std::to_string(port) + "}]}\n";
}

inline std::string pod(const std::string& name) {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         "}\nstatus: {podIP: 10.0.0.1}\n";
}

template <typename T>
class Recorder final : public Sink<T> {
 public:
  explicit Recorder(Lines& log) : log_(log) {}
  void list_started() override { log_.push_back(std::string(kKindName<T>) + " list"); }
  void upsert(T&& object) override {
    std::string line = "+" + name_of<T>(object.meta.key);
    if (object.meta.deletion_timestamp) {
      line += " until " + std::to_string(*object.meta.deletion_timestamp);
    }
    if constexpr (std::is_same_v<T, Service>) line += ":" + std::to_string(object.ports.at(0).port);
    const auto found =
        object.meta.annotations.find("endpoints.kubernetes.io/last-change-trigger-time");
    file_changed = found == object.meta.annotations.end() ? 0 : *parse_time(found->second);
    log_.push_back(line);
  }
  void remove(const ObjectKey& key) override { log_.push_back("-" + name_of<T>(key)); }
  void keep(const ObjectKey& key) override { log_.push_back("=" + name_of<T>(key)); }
  void list_finished() override { log_.push_back(std::string(kKindName<T>) + " listed"); }

  UnixSeconds file_changed = 0;  // of the last object

 private:
  Lines& log_;
};

constexpr Milliseconds kSettle{17};

class Bench {
 public:
  explicit Bench(const fs::path& directory, Lines only = {})
      : services_(log), pods_(log), nodes_(log), slices_(log) {
    Sinks sinks{.services = &services_, .pods = &pods_, .nodes = &nodes_, .slices = &slices_};
    if (!only.empty()) sinks = {&services_, nullptr, nullptr, nullptr};
    ManifestOptions options;
    options.directory = directory.string();
    options.ranges = {{{asio::ip::make_address("10.96.0.0"), 12}}};
    options.settle = kSettle;
    options.now = [this] { return now; };
    options.wait = [this](Milliseconds duration) { return wait(duration); };
    source_.emplace(context_.get_executor(), sinks, options,
                    [this](const SourceFault& fault) { faults.push_back(fault.what); });
    asio::co_spawn(context_, source_->run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr error) {
                     ended = true;
                     failed = error != nullptr;
                   }));
  }
  ~Bench() { stop(); }

  void stop() {
    stop_.emit(asio::cancellation_type::terminal);
    run_until([this] { return ended; });
  }

  // Runs until `done`; waits of the settle time end immediately. The limit only keeps a failing
  // test from hanging.
  template <typename Done>
  void run_until(Done done) {
    while (!done()) {
      if (fires_settle) fire(kSettle);
      if (context_.run_one_for(std::chrono::seconds(10)) == 0) {
        FAIL("nothing happens any more; log: " << shown(log) << "faults: " << shown(faults));
      }
    }
  }
  void run_until_logged(const std::string& line) {
    run_until([&] { return std::find(log.begin(), log.end(), line) != log.end(); });
  }
  void run_until_waiting(Milliseconds duration) {
    run_until([&] {
      return std::any_of(waits_.begin(), waits_.end(),
                         [&](const Wait& wait) { return wait.duration == duration; });
    });
  }
  void run_until_fault(const std::string& part) {
    run_until([&] {
      return std::any_of(faults.begin(), faults.end(), [&](const std::string& fault) {
        return fault.find(part) != std::string::npos;
      });
    });
  }
  // Runs `what` in its turn on the event loop.
  template <typename F>
  void post(F what) {
    asio::post(context_, std::move(what));
  }
  // The source has begun to read.
  void run_until_started() {
    bool begun = false;
    post([this, &begun] { post([&begun] { begun = true; }); });
    run_until([&] { return begun; });
  }
  // Delivers the first lists and clears the log.
  void start() {
    run_until_logged("Pod listed");
    log.clear();
  }
  // Ends every wait of that duration.
  void fire(Milliseconds duration) {
    for (Wait& wait : waits_) {
      if (wait.duration == duration) wait.timer.cancel();
    }
  }

  // Of the last object of that kind that was delivered.
  UnixSeconds pod_file_changed() const { return pods_.file_changed; }
  UnixSeconds service_file_changed() const { return services_.file_changed; }

  Lines log;
  Lines faults;
  UnixSeconds now = 1000;
  bool fires_settle = true;
  bool ended = false;
  bool failed = false;

 private:
  struct Wait {
    Milliseconds duration;
    asio::steady_timer timer;
  };

  asio::awaitable<void> wait(Milliseconds duration) {
    waits_.push_back(
        {duration, asio::steady_timer(context_, asio::steady_timer::time_point::max())});
    const auto mine = std::prev(waits_.end());
    co_await mine->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    waits_.erase(mine);
  }

  static std::string shown(const Lines& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }

  asio::io_context context_;
  std::list<Wait> waits_;
  Recorder<Service> services_;
  Recorder<Pod> pods_;
  Recorder<Node> nodes_;
  Recorder<EndpointSlice> slices_;
  std::optional<ManifestSource> source_;
  asio::cancellation_signal stop_;
};

}  // namespace k8s::manifest_test
