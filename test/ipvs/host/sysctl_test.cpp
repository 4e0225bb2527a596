// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/sysctl.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "test/fake/temporary_folder.hpp"

namespace {

using ipvs::HostSettings;
using ipvs::KernelVersion;
using ipvs::Sysctls;

// A directory tree like /proc/sys, deleted at the end of the test.
class Tree {
 public:
  Tree() {
    for (const auto& rule : ipvs::sysctl_rules()) set(rule.key, "0");
  }

  std::string root() const { return folder_.path(); }
  std::filesystem::path path(const std::string& key) const { return folder_.path(key); }
  void set(const std::string& key, const std::string& value) const {
    folder_.write(key, value + "\n");
  }
  std::string get(const std::string& key) const { return *Sysctls(root()).read(key); }
  void set_all_right() const {
    for (const auto& rule : ipvs::sysctl_rules()) set(rule.key, rule.value);
  }

 private:
  fake::TemporaryFolder folder_;
};

constexpr const char* kReuse = "net/ipv4/vs/conn_reuse_mode";
constexpr const char* kForwarding6 = "net/ipv6/conf/all/forwarding";

}  // namespace

TEST_CASE("required settings are set, and each change is reported") {
  const Tree tree;
  const auto report = ipvs::set_sysctls(Sysctls(tree.root()), {}, {6, 1}).value();
  for (const char* key : {"net/ipv4/vs/conntrack", "net/ipv4/vs/expire_nodest_conn",
                          "net/ipv4/vs/expire_quiescent_template", "net/ipv4/ip_forward"}) {
    CHECK(tree.get(key) == "1");
  }
  CHECK(report.changes.size() == 4);
  CHECK(std::count(report.changes.begin(), report.changes.end(), "net/ipv4/vs/conntrack: 0 -> 1") ==
        1);
}

TEST_CASE("conn_reuse_mode is cleared from 4.1 up to 5.8 and left alone from 5.9 on") {
  for (const auto& [version, expected] :
       {std::pair{KernelVersion{4, 0}, "1"}, std::pair{KernelVersion{4, 1}, "0"},
        std::pair{KernelVersion{5, 8}, "0"}, std::pair{KernelVersion{5, 9}, "1"},
        std::pair{KernelVersion{6, 1}, "1"}}) {
    const Tree tree;
    tree.set(kReuse, "1");
    REQUIRE(ipvs::set_sysctls(Sysctls(tree.root()), {}, version).has_value());
    CHECK(tree.get(kReuse) == expected);
  }
}

TEST_CASE("IPv6 forwarding is reported and never set") {
  const Tree tree;
  const auto report = ipvs::set_sysctls(Sysctls(tree.root()), {}, {6, 1}).value();
  CHECK(tree.get(kForwarding6) == "0");
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings[0].find(kForwarding6) == 0);
}

TEST_CASE("strict ARP is set only if it is configured") {
  const Tree tree;
  HostSettings settings;
  REQUIRE(ipvs::set_sysctls(Sysctls(tree.root()), settings, {6, 1}).has_value());
  CHECK(tree.get("net/ipv4/conf/all/arp_announce") == "0");
  settings.strict_arp = true;
  REQUIRE(ipvs::set_sysctls(Sysctls(tree.root()), settings, {6, 1}).has_value());
  CHECK(tree.get("net/ipv4/conf/all/arp_ignore") == "1");
  CHECK(tree.get("net/ipv4/conf/all/arp_announce") == "2");
}

TEST_CASE("a setting that already has the right value is not written") {
  const Tree tree;
  tree.set_all_right();
  const auto before = std::filesystem::last_write_time(tree.path("net/ipv4/ip_forward"));
  const auto report = ipvs::set_sysctls(Sysctls(tree.root()), {}, {6, 1}).value();
  CHECK(report.changes.empty());
  CHECK(report.warnings.empty());
  CHECK(std::filesystem::last_write_time(tree.path("net/ipv4/ip_forward")) == before);
}

TEST_CASE("a required setting that does not exist is an error that names it") {
  const Tree tree;
  std::filesystem::remove(tree.path("net/ipv4/vs/conntrack"));
  const auto result = ipvs::set_sysctls(Sysctls(tree.root()), {}, {6, 1});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().error_number == ENOENT);
  CHECK(result.error().what.find("net/ipv4/vs/conntrack") != std::string::npos);
}

TEST_CASE(
    "a value that the kernel does not keep is an error that says which value it has instead") {
  const Tree tree;
  // Writes to it have no effect.
  std::filesystem::remove(tree.path("net/ipv4/ip_forward"));
  std::filesystem::create_symlink("/dev/null", tree.path("net/ipv4/ip_forward"));
  const auto result = ipvs::set_sysctls(Sysctls(tree.root()), {}, {6, 1});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().error_number == EINVAL);
  CHECK(result.error().what.find("it stayed") != std::string::npos);
}

TEST_CASE("every sysctl that is not right is named at once, with what it is and why (17.8)") {
  const Tree tree;
  std::filesystem::remove(tree.path("net/ipv4/vs/conntrack"));
  for (const char* key : {"net/ipv4/ip_forward", "net/ipv4/conf/all/arp_ignore"}) {
    std::filesystem::remove(tree.path(key));
    std::filesystem::create_symlink("/dev/null", tree.path(key));
  }
  HostSettings settings;
  settings.strict_arp = true;
  const auto result = ipvs::set_sysctls(Sysctls(tree.root()), settings, {6, 1});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().error_number == ENOENT);
  CHECK(
      result.error().what ==
      "3 sysctls cannot be set: net/ipv4/vs/conntrack (No such file or directory); "
      "net/ipv4/ip_forward is  but should be 1: packets are forwarded to pods (Invalid argument); "
      "net/ipv4/conf/all/arp_ignore is  but should be 1: strict ARP (Invalid argument); "
      "make /proc/sys writable or set them on the host");
  CHECK(tree.get("net/ipv4/vs/expire_nodest_conn") == "1");  // what can be set is
}

TEST_CASE("the kernel version is parsed from the release that uname reports") {
  CHECK(ipvs::parse_kernel_version("6.1.0-28-amd64") == KernelVersion{6, 1});
  CHECK(ipvs::parse_kernel_version("5.15.167.4-microsoft-standard-WSL2") == KernelVersion{5, 15});
  CHECK(ipvs::parse_kernel_version("strange") == KernelVersion{0, 0});
}

TEST_CASE("settings are restored, unless somebody else has changed them since") {
  const Tree tree;
  ipvs::SettingRecord record(tree.root(), "boot net:[1] 2");
  Sysctls sysctls(tree.root());
  sysctls.record_in(record);
  REQUIRE(ipvs::set_sysctls(sysctls, {}, {6, 1}).has_value());
  REQUIRE(ipvs::set_sysctls(sysctls, {}, {6, 1}).has_value());
  REQUIRE(sysctls.changed().size() == 4);
  tree.set("net/ipv4/ip_forward", "2");
  for (const ipvs::ChangedSetting& changed : sysctls.changed()) {
    INFO(changed.name);
    CHECK(sysctls.restore(changed).value() == (changed.name != "net/ipv4/ip_forward"));
  }
  CHECK(tree.get("net/ipv4/ip_forward") == "2");
  CHECK(tree.get("net/ipv4/vs/conntrack") == "0");
  CHECK(sysctls.changed().empty());
}

TEST_CASE("strict ARP is restored by a start without it (kubernetes#123992)") {
  const Tree tree;
  ipvs::SettingRecord record(tree.root(), "boot net:[1] 2");
  Sysctls sysctls(tree.root());
  sysctls.record_in(record);
  REQUIRE(ipvs::set_sysctls(sysctls, {.strict_arp = true}, {6, 1}).has_value());
  REQUIRE(tree.get("net/ipv4/conf/all/arp_announce") == "2");
  const auto report = ipvs::set_sysctls(sysctls, {}, {6, 1}).value();
  CHECK(tree.get("net/ipv4/conf/all/arp_announce") == "0");
  CHECK(tree.get("net/ipv4/conf/all/arp_ignore") == "0");
  CHECK(report.changes ==
        std::vector<std::string>{"net/ipv4/conf/all/arp_ignore: 1 -> 0, as before kube-ipvs",
                                 "net/ipv4/conf/all/arp_announce: 2 -> 0, as before kube-ipvs"});
}

TEST_CASE("a change that the kernel refuses is not recorded as ours (17.4)") {
  const Tree tree;
  ipvs::SettingRecord record(tree.root(), "boot net:[1] 2");
  Sysctls sysctls(tree.root());
  sysctls.record_in(record);
  const std::string key = "net/ipv4/ip_forward";
  SECTION("the first") {
    std::filesystem::remove(tree.path(key));
    std::filesystem::create_symlink("/dev/null", tree.path(key));  // writes have no effect
    CHECK_FALSE(sysctls.write(key, "1").has_value());
    CHECK(sysctls.changed().empty());
  }
  SECTION("one after another that was accepted") {
    REQUIRE(sysctls.write(key, "1").has_value());
    std::filesystem::remove(tree.path(key));
    std::filesystem::create_symlink("/dev/null", tree.path(key));
    CHECK_FALSE(sysctls.write(key, "2").has_value());
    CHECK(sysctls.changed() == std::vector<ipvs::ChangedSetting>{{key, "0", "1"}});
  }
}
