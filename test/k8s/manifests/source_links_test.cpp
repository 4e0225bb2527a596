// SPDX-License-Identifier: Apache-2.0
//
// Links above, at and out of the manifest directory, and files too large for the event loop.
#include <catch2/catch_test_macros.hpp>

#include "k8s/manifests/links.hpp"
#include "test/k8s/manifests/source_bench.hpp"

namespace {

using namespace k8s;
using namespace k8s::manifest_test;
using k8s::manifest_test::write;

// Puts a link to `target` in place of the one at `link`, at once, as kubelet does.
void swap_link(const fs::path& link, const fs::path& target) {
  const fs::path next = link.parent_path() / "next";
  fs::create_symlink(target, next);
  fs::rename(next, link);
}

std::string many_services(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += service("s" + std::to_string(i));
  return text;
}

}  // namespace

TEST_CASE("the steps to a path are its parts and those of every link on the way") {
  const TemporaryDirectory root;
  const std::string top = (root / "").parent_path().string();
  fs::create_directories(root / "v1/manifests");
  fs::create_directory_symlink("v1", root / "current");
  fs::create_directory_symlink(root / "current/manifests", root / "in");
  const auto steps = steps_to(top + "/in");
  REQUIRE(steps.size() > 4);
  const std::vector<PathStep> last(steps.end() - 4, steps.end());
  CHECK(steps.back() == PathStep{top + "/v1", "manifests", false});
  CHECK(last[1] == PathStep{top, "current", true});
  CHECK(last[2] == PathStep{top, "v1", false});
  fs::create_symlink("loop", root / "loop");
  CHECK(steps_to(top + "/loop").size() < 60);
  CHECK(steps_to(top + "/none/x").back() == PathStep{top, "none", false});
}

TEST_CASE("a link above the directory may be moved to another target (H10)") {
  const TemporaryDirectory root;
  for (const char* version : {"v1", "v2"}) {
    fs::create_directories(root / version / "manifests");
    write(root / version / "manifests/a.yaml", service("a", version[1] - '0'));
  }
  fs::create_directory_symlink("v1", root / "current");
  Bench bench(root / "current/manifests");
  bench.start();
  swap_link(root / "current", "v2");
  bench.run_until_logged("+Service default/a:2");
  write(root / "v2/manifests/a.yaml", service("a", 3));
  bench.run_until_logged("+Service default/a:3");
}

TEST_CASE("a directory inside a ConfigMap's mount changes with the link ..data (H10)") {
  const TemporaryDirectory root;
  for (const char* version : {"..1", "..2"}) {
    fs::create_directories(root / version / "sub");
    write(root / version / "sub/a.yaml", service("a", version[2] - '0'));
  }
  fs::create_directory_symlink("..1", root / "..data");
  fs::create_directory_symlink("..data/sub", root / "sub");
  Bench bench(root / "sub");
  bench.start();
  swap_link(root / "..data", "..2");
  bench.run_until_logged("+Service default/a:2");
}

TEST_CASE("a directory above that is renamed away, and its successor, are noticed (H10)") {
  const TemporaryDirectory root;
  fs::create_directories(root / "etc/manifests");
  fs::create_directories(root / "new/manifests");
  write(root / "etc/manifests/a.yaml", service("a", 1));
  write(root / "new/manifests/a.yaml", service("a", 2));
  Bench bench(root / "etc/manifests");
  bench.start();
  fs::rename(root / "etc", root / "old");
  fs::rename(root / "new", root / "etc");
  bench.run_until_logged("+Service default/a:2");
}

TEST_CASE("the target of a link out of the directory is followed (H10)") {
  const TemporaryDirectory root;
  fs::create_directories(root / "manifests");
  fs::create_directories(root / "elsewhere");
  write(root / "elsewhere/web", service("web", 1));
  fs::create_symlink(root / "elsewhere/web", root / "manifests/a.yaml");
  Bench bench(root / "manifests");
  bench.start();
  write(root / "elsewhere/web", service("web", 2));
  bench.run_until_logged("+Service default/web:2");
  replace(root / "elsewhere/web", service("web", 3));
  bench.run_until_logged("+Service default/web:3");
  fs::remove(root / "elsewhere/web");
  bench.run_until_logged("-Service default/web");
  write(root / "elsewhere/web", service("web", 4));
  bench.run_until_logged("+Service default/web:4");
}

TEST_CASE("while a large manifest is parsed the event loop turns (H10)") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", many_services(2000));
  Bench bench(directory / "");
  int turns = 0;
  bench.run_until([&] {
    bench.post([&] { ++turns; });
    return !bench.log.empty();
  });
  CHECK(turns > 1000);
  CHECK(bench.log.size() > 2000);
}

TEST_CASE("many small files are parsed beside the event loop, too (H10)") {
  const TemporaryDirectory directory;
  for (int i = 0; i < 300; ++i) {
    write(directory / (std::to_string(i) + ".yaml"), service("s" + std::to_string(i)));
  }
  Bench bench(directory / "");
  int turns = 0;
  bench.run_until([&] {
    bench.post([&] { ++turns; });
    return !bench.log.empty();
  });
  CHECK(turns > 100);
}

TEST_CASE("stopping does not wait for a large manifest (H10)") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", many_services(20'000));
  Bench bench(directory / "");
  bench.run_until_started();
  bench.stop();
  CHECK_FALSE(bench.failed);
  CHECK(bench.log.empty());
}
