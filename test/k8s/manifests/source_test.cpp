// SPDX-License-Identifier: Apache-2.0
//
// A real directory and real inotify; the clock and the timers are the test's. Nothing here waits
// for time to pass: the io_context runs until what the test waits for has been recorded.
#include "k8s/manifests/source.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <list>
#include <string>
#include <type_traits>
#include <vector>

namespace {

namespace fs = std::filesystem;
namespace asio = boost::asio;
using namespace k8s;
using Lines = std::vector<std::string>;
using Milliseconds = ManifestOptions::Milliseconds;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "manifests-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

// Writes atomically: a temporary file, then rename.
void replace(const fs::path& file, const std::string& text) {
  const fs::path temporary = file.parent_path() / ("." + file.filename().string() + ".tmp");
  write(temporary, text);
  fs::rename(temporary, file);
}

std::string service(const std::string& name, int port = 80) {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         "}\nspec: {ports: [{port: " + std::to_string(port) + "}]}\n";
}

std::string pod(const std::string& name) {
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
    log_.push_back(line);
  }
  void remove(const ObjectKey& key) override { log_.push_back("-" + name_of<T>(key)); }
  void keep(const ObjectKey& key) override { log_.push_back("=" + name_of<T>(key)); }
  void list_finished() override { log_.push_back(std::string(kKindName<T>) + " listed"); }

 private:
  Lines& log_;
};

constexpr Milliseconds kSettle{17};

class Bench {
 public:
  explicit Bench(const fs::path& directory, Lines only = {})
      : services_(log), pods_(log), nodes_(log), slices_(log) {
    Sinks sinks{&services_, &pods_, &nodes_, &slices_};
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

TEST_CASE("an empty directory delivers an empty list of every kind") {
  const TemporaryDirectory directory;
  Bench bench(directory / "");
  bench.run_until_logged("Pod listed");
  CHECK(bench.log == Lines{"Node list", "Node listed", "Service list", "Service listed",
                           "EndpointSlice list", "EndpointSlice listed", "Pod list", "Pod listed"});
  CHECK(bench.faults.empty());
}

TEST_CASE("a kind without a sink is not delivered") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", pod("x") + service("web"));
  Bench bench(directory / "", {"services"});
  bench.run_until_logged("Service listed");
  CHECK(bench.log == Lines{"Service list", "+Service default/web:80", "Service listed"});
}

TEST_CASE("files are read at the start, and when they are written, moved in and deleted") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", service("a"));
  write(directory / ".hidden.yaml", service("hidden"));
  write(directory / "notes.txt", "notes");
  fs::create_directory(directory / "sub");
  write(directory / "sub/s.yaml", service("sub"));
  Bench bench(directory / "");
  bench.run_until_logged("Pod listed");
  CHECK(std::count(bench.log.begin(), bench.log.end(), "+Service default/a:80") == 1);
  CHECK(bench.log.size() == 9);
  bench.log.clear();

  write(
      directory / "b.json",
      R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"b"},"spec":{"ports":[{"port":1}]}})");
  bench.run_until_logged("+Service default/b:1");
  replace(directory / "a.yaml", service("a", 81));
  bench.run_until_logged("+Service default/a:81");
  fs::remove(directory / "b.json");
  bench.run_until_logged("-Service default/b");
  fs::rename(directory / "a.yaml", directory / "a.off");
  bench.run_until_logged("-Service default/a");
  CHECK(bench.log.size() == 4);
  CHECK(bench.faults.empty());
}

TEST_CASE("a burst of events is read once, after it has been quiet") {
  const TemporaryDirectory directory;
  Bench bench(directory / "");
  bench.start();
  bench.fires_settle = false;
  write(directory / "a.yaml", service("a", 1));
  bench.run_until_waiting(kSettle);
  write(directory / "a.yaml", service("a", 2));
  write(directory / "b.yaml", service("b"));
  bench.fire(kSettle);
  bench.fires_settle = true;
  bench.run_until_logged("+Service default/b:80");
  CHECK(bench.log == Lines{"+Service default/a:2", "+Service default/b:80"});
}

TEST_CASE("a file that is still being written is not read, nor is an editor's backup") {
  const TemporaryDirectory directory;
  Bench bench(directory / "");
  bench.start();
  std::ofstream half(directory / "half.yaml");
  half << "kind: [" << std::flush;
  write(directory / ".half.yaml.swp", "x: [");
  write(directory / "half.yaml~", "x: [");
  write(directory / "4913", "x: [");
  write(directory / "whole.yaml", service("whole"));
  bench.run_until_logged("+Service default/whole:80");
  CHECK(bench.log.size() == 1);
  CHECK(bench.faults.empty());
  half.seekp(0);
  half << service("half") << std::flush;
  half.close();
  bench.run_until_logged("+Service default/half:80");
  CHECK(bench.faults.empty());
}

TEST_CASE("a mounted ConfigMap changes all its files by moving one link") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "..1");
  write(directory / "..1/a.yaml", service("a", 1));
  write(directory / "..1/b.yaml", service("b", 1));
  fs::create_directory_symlink("..1", directory / "..data");
  fs::create_symlink("..data/a.yaml", directory / "a.yaml");
  fs::create_symlink("..data/b.yaml", directory / "b.yaml");
  Bench bench(directory / "");
  bench.start();

  fs::create_directory(directory / "..2");
  write(directory / "..2/a.yaml", service("a", 2));
  write(directory / "..2/c.yaml", service("c", 2));
  fs::create_directory_symlink("..2", directory / "..data_tmp");
  fs::rename(directory / "..data_tmp", directory / "..data");
  fs::create_symlink("..data/c.yaml", directory / "c.yaml");
  fs::remove(directory / "b.yaml");
  fs::remove_all(directory / "..1");
  bench.run_until_logged("+Service default/c:2");
  CHECK(bench.log == Lines{"-Service default/b", "+Service default/a:2", "+Service default/c:2"});
  CHECK(bench.faults.empty());
}

TEST_CASE("the last state stays when the directory is deleted and created again") {
  const TemporaryDirectory root;
  const fs::path directory = root / "manifests";
  fs::create_directory(directory);
  write(directory / "a.yaml", service("a"));
  Bench bench(directory);
  bench.start();
  fs::remove_all(directory);
  bench.run_until_fault("No such file or directory: the last state stays");
  CHECK(bench.log.empty());
  bench.run_until_waiting(Milliseconds(1000));
  fs::create_directory(directory);
  bench.fire(Milliseconds(1000));
  bench.run_until_fault("exists again, but is empty: the last state stays");
  CHECK(bench.log.empty());
  write(directory / "b.yaml", service("b"));
  bench.run_until_logged("+Service default/b:80");
  CHECK(bench.log == Lines{"-Service default/a", "+Service default/b:80"});
  write(directory / "c.yaml", service("c"));
  bench.run_until_logged("+Service default/c:80");
  CHECK(bench.faults.size() == 2);
}

TEST_CASE("the source waits for a missing directory, and lists nothing before") {
  const TemporaryDirectory root;
  Bench bench(root / "manifests");
  bench.run_until_fault("No such file or directory: waiting for it");
  bench.run_until_waiting(Milliseconds(1000));
  CHECK(bench.log.empty());
  fs::create_directory(root / "manifests");
  bench.fire(Milliseconds(1000));
  bench.run_until_logged("Pod listed");
}

TEST_CASE("a link to the directory may be moved to another one") {
  const TemporaryDirectory root;
  fs::create_directory(root / "one");
  fs::create_directory(root / "two");
  write(root / "one/a.yaml", service("a", 1));
  write(root / "two/a.yaml", service("a", 2));
  fs::create_directory_symlink("one", root / "manifests");
  Bench bench(root / "manifests");
  bench.start();
  fs::create_directory_symlink("two", root / "next");
  fs::rename(root / "next", root / "manifests");
  bench.run_until_logged("+Service default/a:2");
  write(root / "two/a.yaml", service("a", 3));
  bench.run_until_logged("+Service default/a:3");
  CHECK(bench.log.size() == 2);
}

TEST_CASE("a broken file is reported by name and line, and its objects stay") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", service("a"));
  Bench bench(directory / "");
  bench.start();
  write(directory / "a.yaml", service("a") + "---\n{\n");
  bench.run_until_fault((directory / "a.yaml").string() + ":7");
  CHECK(bench.log.empty());
  write(directory / "a.yaml", service("a", 81));
  bench.run_until_logged("+Service default/a:81");
}

TEST_CASE("anything but a regular file is reported and skipped") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "d.yaml");
  fs::create_symlink("nowhere", directory / "dangling.yaml");
  Bench bench(directory / "");
  bench.start();
  CHECK(bench.faults ==
        Lines{(directory / "d.yaml").string() + ": is a directory, not a file: skipped"});
}

TEST_CASE("a timer removes a Pod when its grace period is over") {
  const TemporaryDirectory directory;
  write(directory / "p.yaml", pod("x"));
  Bench bench(directory / "");
  bench.start();
  fs::remove(directory / "p.yaml");
  bench.run_until_logged("+Pod default/x until 1030");
  bench.run_until_waiting(Milliseconds(30'000));
  bench.now = 1030;
  bench.fire(Milliseconds(30'000));
  bench.run_until_logged("-Pod default/x");
  CHECK(bench.log.size() == 2);
}

TEST_CASE("cancellation ends the source at every wait, without a fault") {
  const TemporaryDirectory directory;
  SECTION("for the directory") {
    Bench bench(directory / "none");
    bench.run_until_waiting(Milliseconds(1000));
    bench.stop();
    CHECK_FALSE(bench.failed);
  }
  SECTION("for files") {
    Bench bench(directory / "");
    bench.start();
    bench.stop();
    CHECK_FALSE(bench.failed);
  }
  SECTION("for quiet") {
    Bench bench(directory / "");
    bench.start();
    bench.fires_settle = false;
    write(directory / "a.yaml", service("a"));
    bench.run_until_waiting(kSettle);
    write(directory / "b.yaml", service("b"));
    bench.stop();
    CHECK_FALSE(bench.failed);
  }
}

}  // namespace
