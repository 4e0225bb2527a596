// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/processes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "test/fake/temporary_folder.hpp"

using namespace ipvs;
namespace fs = std::filesystem;

namespace {

// A /proc of a few files.
class Proc {
 public:
  Proc() { add("thread-self", "kube-ipvs", "net:[1]", ""); }

  void add(const std::string& pid, const std::string& name, const std::string& network,
           const std::string& command) {
    folder_.write(pid + "/comm", name + '\n');
    folder_.write(pid + "/cmdline", command);
    fs::create_directories(folder_.path(pid + "/ns"));
    if (!network.empty()) fs::create_symlink(network, folder_.path(pid + "/ns/net"));
  }
  void link(const std::string& path, const std::string& target) {
    fs::create_symlink(target, folder_.path(path));
  }
  std::vector<KubeProxyProcess> find() const { return find_kube_proxies(folder_.path()); }

 private:
  fake::TemporaryFolder folder_;
};

using Found = std::vector<KubeProxyProcess>;

}  // namespace

TEST_CASE("a running kube-proxy is found by its name, in this network namespace") {
  Proc proc;
  const std::string command("/usr/local/bin/kube-proxy\0--config=/c\0", 39);
  proc.add("42", "kube-proxy", "net:[1]", command);
  proc.add("7", "kube-proxy", "net:[1]", "kube-proxy");
  proc.add("43", "kube-proxy", "net:[2]", command);
  proc.add("44", "kube-proxy-x", "net:[1]", command);
  proc.add("45", "kube-proxy", "", command);    // no right to see it
  proc.add("46", "kube-proxy", "net:[1]", "");  // has ended
  proc.add("4x", "kube-proxy", "net:[1]", command);
  CHECK(proc.find() == Found{{7, "kube-proxy"}, {42, "/usr/local/bin/kube-proxy --config=/c"}});
}

TEST_CASE("kube-ipvs under the name kube-proxy is no kube-proxy, neither this process (18.2)") {
  Proc proc;
  const std::string command("/usr/local/bin/kube-proxy\0", 26);
  for (const char* pid : {"41", "42", "43", "44"}) proc.add(pid, "kube-proxy", "net:[1]", command);
  proc.link("self", "41");  // a copy of the program, with another name
  proc.link("42/exe", "/usr/local/bin/kube-ipvs");
  proc.link("43/exe", "/opt/kube-ipvs/kube-ipvs (deleted)");
  proc.link("44/exe", "/opt/kube-ipvs/kube-proxy");
  CHECK(proc.find() == Found{{44, "/usr/local/bin/kube-proxy"}});
}

TEST_CASE("a kube-proxy's command line is cut, and on one line") {
  Proc proc;
  proc.add("42", "kube-proxy", "net:[1]", "a\nb\x1b" + std::string(1000, 'x'));
  REQUIRE(proc.find().size() == 1);
  CHECK(proc.find()[0].command == "a b " + std::string(296, 'x'));
}

TEST_CASE("without /proc no kube-proxy is found") { CHECK(find_kube_proxies("/nowhere").empty()); }
