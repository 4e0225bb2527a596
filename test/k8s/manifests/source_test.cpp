// SPDX-License-Identifier: Apache-2.0
//
// What a ManifestSource reads and delivers; links and large files: source_links_test.cpp.
#include "k8s/manifests/source.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test/k8s/manifests/source_bench.hpp"

namespace {

using namespace k8s;
using namespace k8s::manifest_test;
using k8s::manifest_test::write;

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

TEST_CASE(
    "a Pod has the time at which its file changed or was moved in; a Service has none (18.3)") {
  const TemporaryDirectory directory;
  const TemporaryDirectory elsewhere;
  Bench bench(directory / "");
  bench.start();
  write(elsewhere / "x.yaml", pod("x") + service("web"));
  fs::last_write_time(elsewhere / "x.yaml",
                      fs::file_time_type::clock::now() - std::chrono::hours(9));
  const UnixSeconds before = std::time(nullptr);
  fs::rename(elsewhere / "x.yaml", directory / "x.yaml");
  bench.run_until_logged("+Pod default/x");
  CHECK(bench.pod_file_changed() >= before - 1);
  CHECK(bench.pod_file_changed() <= std::time(nullptr));
  CHECK(bench.service_file_changed() == 0);
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

namespace {

// While it lives, this process can open no more descriptors.
class NoDescriptors {
 public:
  NoDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const int lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(lowest >= 0);
    ::close(lowest);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest), .rlim_max = before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

constexpr Milliseconds kRetry{1000};

// Two attempts without descriptors, with one line and no change, and a third with them.
void retry_without_descriptors(Bench& bench, const std::string& fault) {
  {
    const NoDescriptors none;
    bench.run_until_fault(fault);
    bench.run_until_waiting(kRetry);
    bench.fire(kRetry);
    bench.run_until_waiting(kRetry);
    CHECK(bench.faults.size() == 1);
    CHECK(bench.log.empty());
  }
  bench.fire(kRetry);
}

}  // namespace

TEST_CASE("without a descriptor for inotify the directory is tried again, with one line") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", service("a"));
  Bench bench(directory / "");
  retry_without_descriptors(bench, "Too many open files: waiting for it");
  bench.run_until_logged("+Service default/a:80");
  write(directory / "a.yaml", service("a", 81));
  bench.run_until_logged("+Service default/a:81");
}

TEST_CASE("a file that no descriptor was left for is read again, and its objects stay meanwhile") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", service("a"));
  Bench bench(directory / "");
  bench.start();
  write(directory / "a.yaml", service("a", 81));
  retry_without_descriptors(bench, "a.yaml: cannot be opened: Too many open files");
  bench.run_until_logged("+Service default/a:81");
  CHECK(bench.log.size() == 1);
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
