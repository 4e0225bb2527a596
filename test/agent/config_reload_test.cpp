// SPDX-License-Identifier: Apache-2.0
//
// The whole agent, and a file of --config that changes beneath it.
#include "agent/config_reload.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "test/agent/app_fixture.hpp"
#include "test/fake/temporary_folder.hpp"

namespace agent {
namespace {

using namespace agent::test;
using Catch::Matchers::ContainsSubstring;
using ipvs::ServerKey;
namespace fs = std::filesystem;

const ServerKey kWeb{ip("10.96.0.1"), 80};
const std::string kHead = "apiVersion: kube-ipvs.io/v1alpha1\nkind: KubeIpvsConfiguration\n";

class ReloadFixture : public AppFixture {
 public:
  ReloadFixture() {
    write("");
    before_start = [this](App& app) {
      app.follow_file(
          file(), [this] { return load(); }, pace);
    };
  }

  ~ReloadFixture() { end(); }
  ReloadFixture(const ReloadFixture&) = delete;
  ReloadFixture& operator=(const ReloadFixture&) = delete;

  std::string file() const { return folder.path("config.yaml"); }
  void write(const std::string& text) const { folder.write("config.yaml", kHead + text); }
  // Without a moment in which it is not there.
  void replace(const std::string& text) const {
    fs::rename(folder.write("new", kHead + text), file());
  }

  config::ParseOutcome load() {
    ++loads;
    const std::vector<std::string> words = {
        "kube-ipvs", "--config=" + file(), "--manifests=/nonexistent",
        "--metrics-bind-address=127.0.0.1:0", "--healthz-bind-address=" + healthz};
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    config::ParseOutcome read =
        config::parse(static_cast<int>(argv.size()), argv.data(), {.host_name = kThisNode});
    if (read.config) read.config->api_socket = config.api_socket;
    return read;
  }

  void start_serving() {
    start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
    until("the file was read after the start", [this] { return loads > 0; });
  }
  void until_applied(int times = 1) { until_counted("applied", times); }
  // At least so often: the same state of a file may be read twice.
  void until_counted(const std::string& result, int times = 1) {
    until("it is " + result, [&] {
      return std::stoi(metric("kube_ipvs_config_reloads_total{result=\"" + result + "\"}")) >=
             times;
    });
  }
  void until_logged(const std::string& part) {
    until("it says: " + part, [&] { return log.count(part) > 0; });
  }
  std::string last_successful() { return metric("kube_ipvs_config_last_reload_successful"); }

  const fake::TemporaryFolder folder;
  std::string healthz = "127.0.0.1:0";
  ConfigReload::Pace pace{.settle = 1ms, .grace = 1ms, .look = 10ms};
  int loads = 0;
};

}  // namespace

TEST_CASE_METHOD(ReloadFixture, "another scheduler in the file is in the kernel soon (18.2)") {
  start_serving();
  CHECK(kernel.servers.at(kWeb).settings.scheduler == "rr");
  replace("ipvs:\n  scheduler: lc\n");
  until_applied();
  until("it is programmed", [this] { return kernel.servers.at(kWeb).settings.scheduler == "lc"; });
  CHECK(log.count("config.yaml: applied: ipvs.scheduler: rr -> lc") == 1);
  CHECK(last_successful() == "1");
  CHECK(kernel.violations.empty());
  CHECK_THAT(get("/configz"), ContainsSubstring("\"scheduler\":\"lc\""));
  CHECK_THAT(get("/flagz"), ContainsSubstring("\nipvs-scheduler=lc\n"));
}

TEST_CASE_METHOD(ReloadFixture, "a file that is written in place is read, too, and one unlike it") {
  start_serving();
  write("masqueradeAll: true\n");
  until_applied();
  until("the table has it", [this] { return kernel.table_rules->masquerade_all; });
  write("masqueradeAll: true\n# only a comment\n");
  until_counted("unchanged");
  CHECK(log.count("applied") == 1);
}

TEST_CASE_METHOD(ReloadFixture,
                 "a mounted ConfigMap's file is followed by its link ..data (18.2)") {
  const auto version = [this](const std::string& name, const std::string& text) {
    folder.write(name + "/config.yaml", kHead + text);
    fs::create_directory_symlink(name, folder.path("..data_tmp"));
    fs::rename(folder.path("..data_tmp"), folder.path("..data"));
  };
  version("..1", "");
  fs::remove(file());
  fs::create_symlink("..data/config.yaml", file());
  start_serving();
  for (const int number : {2, 3}) {
    const std::string scheduler = number == 2 ? "lc" : "wrr";
    version(".." + std::to_string(number), "ipvs:\n  scheduler: " + scheduler + "\n");
    until_applied(number - 1);
    until("it is programmed",
          [&] { return kernel.servers.at(kWeb).settings.scheduler == scheduler; });
  }
}

TEST_CASE_METHOD(ReloadFixture,
                 "a file with faults is refused as a whole, in one line with all of them (18.2)") {
  start_serving();
  replace("ipvs:\n  scheduler: quick\n  strictARP: 7\nmasqueradeAll: true\n");
  until_counted("refused");
  CHECK(last_successful() == "0");
  CHECK(log.count("refused, and the settings in force stay") == 1);
  CHECK(log.count("config.yaml:4:14: ipvs.scheduler") == 1);
  CHECK(log.count("config.yaml:5:14: ipvs.strictARP: must be true or false") == 1);
  CHECK_FALSE(kernel.table_rules->masquerade_all);
  CHECK(kernel.servers.at(kWeb).settings.scheduler == "rr");
  CHECK_THAT(get("/conditions"), ContainsSubstring("\"field\":\"config\""));
  replace("masqueradeAll: true\n");
  until_applied();
  CHECK(last_successful() == "1");
  CHECK_THAT(get("/conditions"), !ContainsSubstring("\"field\":\"config\""));
}

TEST_CASE_METHOD(ReloadFixture, "a scheduler that the kernel lacks refuses the file (18.2)") {
  kernel.absent_schedulers = {"mh"};
  start_serving();
  replace("ipvs:\n  scheduler: mh\nmasqueradeAll: true\n");
  until_counted("refused");
  CHECK(log.count("ipvs.scheduler: scheduler mh") == 1);
  CHECK_FALSE(kernel.table_rules->masquerade_all);
  CHECK(kernel.servers.at(kWeb).settings.scheduler == "rr");
}

TEST_CASE_METHOD(ReloadFixture, "a deleted file changes nothing, and is awaited (18.2)") {
  start_serving();
  fs::remove(file());
  until_counted("refused");
  CHECK(log.count("cannot be opened: No such file or directory") == 1);
  replace("ipvs:\n  scheduler: lc\n");
  until_applied();
  // And its directory with it.
  const auto refused = metric("kube_ipvs_config_reloads_total{result=\"refused\"}");
  fs::remove_all(folder.path());
  until_counted("refused", std::stoi(refused) + 1);
  fs::create_directory(folder.path());
  write("");
  until_applied(2);
  until("it is programmed", [this] { return kernel.servers.at(kWeb).settings.scheduler == "rr"; });
}

TEST_CASE_METHOD(ReloadFixture, "what is no file of settings is refused, and costs little (18.2)") {
  start_serving();
  fs::remove(file());
  fs::create_directory(file());
  until_logged("is a directory, not a file");
  fs::remove(file());
  fs::create_symlink("other.yaml", file());
  fs::create_symlink("config.yaml", folder.path("other.yaml"));
  until_logged("Too many levels of symbolic links");
  fs::remove(file());
  folder.write("config.yaml", std::string(10'000'000, '{'));
  until_logged("longer than 1048576 bytes");
  folder.write("config.yaml", std::string(100, '\0'));
  until_logged("config.yaml:1:1: ");
  folder.write("config.yaml", "");
  until_logged("is empty: apiVersion and kind are required");
  CHECK(kernel.servers.at(kWeb).settings.scheduler == "rr");
  write("ipvs:\n  scheduler: lc\n");
  until_applied();
}

TEST_CASE_METHOD(ReloadFixture, "a file that may be read again is found by a look at it (18.2)") {
  if (::geteuid() != 0) return;  // root reads whatever the mode says: the look is at the mode
  start_serving();
  replace("ipvs:\n  scheduler: quick\n");
  until_counted("refused");
  const int before = loads;
  fs::permissions(file(), fs::perms::owner_read);  // no event that is waited for
  until("it is read again", [&] { return loads > before; });
}

TEST_CASE_METHOD(ReloadFixture, "a file replaced a thousand times is read a few times (18.2)") {
  pace.settle = 100ms;
  start_serving();
  const int before = loads;
  for (int i = 0; i < 1000; ++i) {
    replace("ipvs:\n  tcpTimeout: " + std::to_string(i + 1) + "s\n");
    context_.poll_one();
  }
  until("the last one is in force",
        [this] { return kernel.prepared && kernel.prepared->timeouts.tcp == 1000; });
  CHECK(loads - before < 20);
}

TEST_CASE_METHOD(ReloadFixture, "half a file is not refused if the rest follows soon (18.2)") {
  pace.grace = 50ms;
  start_serving();
  const int before = loads;
  folder.write("config.yaml", kHead + "ipvs:\n  sched");
  until("it was read", [&] { return loads > before; });
  write("ipvs:\n  scheduler: lc\n");
  until_applied();
  CHECK(log.count("refused") == 0);
}

TEST_CASE_METHOD(ReloadFixture,
                 "what needs a restart is reported once, and nothing of it is applied") {
  start_serving();
  CHECK(metric("kube_ipvs_config_restart_needed") == "0");
  replace("takeover: off\nrunDir: /other\nipvs:\n  scheduler: lc\n");
  until_applied();
  CHECK(metric("kube_ipvs_config_restart_needed") == "1");
  CHECK(log.count("needs a restart to take effect: takeover: auto -> off, runDir: "
                  "/run/kube-ipvs -> /other") == 1);
  replace("takeover: off\nrunDir: /other\nipvs:\n  scheduler: wrr\n");
  until_applied(2);
  CHECK(log.count("needs a restart") == 1);
  CHECK_THAT(get("/flagz"), ContainsSubstring("\ntakeover=auto\n"));
  replace("ipvs:\n  scheduler: wrr\n");
  until_counted("unchanged");
  CHECK(metric("kube_ipvs_config_restart_needed") == "0");
  CHECK(log.count("no restart is needed any more") == 1);
}

TEST_CASE_METHOD(ReloadFixture, "a flag wins over the changed file as at the start") {
  start_serving();
  replace("manifests: /elsewhere\nmetricsBindAddress: 127.0.0.1:1\n");
  until_counted("unchanged");
  CHECK(metric("kube_ipvs_config_restart_needed") == "0");
}

TEST_CASE_METHOD(ReloadFixture, "SIGHUP reads the file again, and says what came of it") {
  start_serving();
  std::raise(SIGHUP);
  until("it says so", [this] { return log.count("what is in force is what it says") == 1; });
  CHECK(log.count("\"Signal: the file of --config is read again\" signal=1 path=\"" + file()) == 1);
}

TEST_CASE_METHOD(AppFixture, "without a file SIGHUP is ignored") {
  start();
  std::raise(SIGHUP);
  until("it says so", [this] { return log.count("\"Signal ignored\" signal=1") == 1; });
  CHECK_FALSE(source->sinks.services == nullptr);  // it goes on
}

TEST_CASE_METHOD(ReloadFixture,
                 "settings of the host reach the kernel, and a refusal is a condition") {
  start_serving();
  replace(
      "ipvs:\n  strictARP: true\n  udpTimeout: 2m\n  excludeCIDRs: [192.0.2.0/24]\n"
      "conntrack:\n  min: 7\nvipBinding: route\n");
  until_applied();
  REQUIRE(kernel.prepared.has_value());
  CHECK(kernel.prepared->strict_arp);
  CHECK(kernel.prepared->timeouts.udp == 120);
  CHECK(kernel.prepared->conntrack.least_entries == 7);
  CHECK(kernel.prepared->vip_binding == ipvs::VipBinding::kRoute);
  CHECK(kernel.prepared->excluded == std::vector<ipvs::Network>{{ip("192.0.2.0"), 24}});
  kernel.prepare_error = EROFS;
  replace("ipvs:\n  strictARP: true\n  udpTimeout: 3m\n");
  until_applied(2);
  CHECK_THAT(get("/conditions"), ContainsSubstring("\"field\":\"host settings\""));
  kernel.prepare_error = 0;
  replace("ipvs:\n  strictARP: true\n  udpTimeout: 4m\n");
  until_applied(3);
  CHECK_THAT(get("/conditions"), !ContainsSubstring("\"field\":\"host settings\""));
}

TEST_CASE_METHOD(ReloadFixture, "node ports move to the addresses that the file names") {
  k8s::Service web = make_service("web", {"10.96.0.1"});
  web.type = k8s::ServiceType::kNodePort;
  web.ports.front().node_port = 30080;
  kernel.local_addresses.push_back(
      {.address = ip("192.168.2.1"), .interface_name = "eth1", .prefix_length = 24});
  start_with({web}, {make_pod("web-1", {"10.244.0.1"})});
  const ServerKey first{ip("192.168.1.1"), 30080}, second{ip("192.168.2.1"), 30080};
  CHECK(kernel.servers.contains(first));
  CHECK(kernel.servers.contains(second));
  replace("nodePortAddresses: [192.168.2.0/24]\n");
  until("one is left", [&] { return !kernel.servers.contains(first); });
  CHECK(kernel.servers.contains(second));
  replace("");
  until("both are there", [&] { return kernel.servers.contains(first); });
  CHECK(kernel.violations.empty());
}

TEST_CASE_METHOD(ReloadFixture, "the Pod networks of the file are those that are not masqueraded") {
  start_serving();
  replace("clusterCIDR: 10.244.0.0/16\n");
  until("the table has them", [this] {
    return kernel.table_rules->cluster_cidrs == std::vector<ipvs::Network>{{ip("10.244.0.0"), 16}};
  });
}

TEST_CASE_METHOD(ReloadFixture, "a port moves without a moment in which none answers (18.2)") {
  healthz = "";  // the flag says that there is none
  config.healthz_bind.reset();
  start_serving();
  CHECK(port_of("healthz") == 0);
  healthz = "127.0.0.1:0";
  write("# read me again\n");
  until_applied();
  const std::uint16_t first = port_of("healthz");
  CHECK(first != 0);
  CHECK_THAT(get("/livez", "healthz"), ContainsSubstring("200 OK"));
  healthz = "127.0.0.2:" + std::to_string(first);
  write("# and again\n");
  until_applied(2);
  CHECK(port_of("healthz") == first);
  CHECK(ask({asio::ip::make_address("127.0.0.1"), first}).empty());
  CHECK_THAT(ask({asio::ip::make_address("127.0.0.2"), first}), ContainsSubstring("200 OK"));
  healthz = "0.0.0.0:" + std::to_string(first);  // the old one is in the way
  write("# and again\n# and again\n");
  until_applied(3);
  CHECK_THAT(get("/livez", "healthz"), ContainsSubstring("200 OK"));
  healthz = "";
  write("");
  until_applied(4);
  CHECK(ask({asio::ip::make_address("127.0.0.1"), first}).empty());
}

TEST_CASE_METHOD(ReloadFixture, "a new port that is taken leaves the old one open (18.2)") {
  start_serving();
  const std::uint16_t before = port_of("healthz");
  asio::ip::tcp::acceptor other(context_, {asio::ip::address_v4::loopback(), 0});
  healthz = "127.0.0.1:" + std::to_string(other.local_endpoint().port());
  write("# read me again\n");
  until_applied();
  until_logged("\"Port cannot be opened: trying again\" err=\"cannot listen on 127.0.0.1 port");
  CHECK_THAT(ask({asio::ip::address_v4::loopback(), before}), ContainsSubstring("200 OK"));
  CHECK_THAT(get("/conditions"), ContainsSubstring("\"field\":\"healthz\""));
  // Back to one that is free.
  healthz = "127.0.0.1:0";
  write("");
  until_applied(2);
  CHECK_THAT(get("/livez", "healthz"), ContainsSubstring("200 OK"));
  CHECK_THAT(get("/conditions"), !ContainsSubstring("\"field\":\"healthz\""));
  until("the old one is closed", [&] {
    return ask({asio::ip::address_v4::loopback(), before}).empty();
  });
}

TEST_CASE_METHOD(ReloadFixture, "/flagz and /statusz are text, and nothing else (18.2)") {
  start_serving();
  for (const char* page : {"/flagz", "/statusz"}) {
    CHECK_THAT(get(page), ContainsSubstring("Content-Type: text/plain; charset=utf-8"));
    const std::string refused =
        ask({asio::ip::address_v4::loopback(), port_of("metrics")},
            "GET " + std::string(page) +
                " HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    CHECK_THAT(refused, ContainsSubstring("HTTP/1.1 406 Not Acceptable") &&
                            ContainsSubstring("media type not acceptable, must be: text/plain"));
  }
  CHECK_THAT(get("/statusz"),
             ContainsSubstring(
                 "\nPaths: /conditions /configz /flagz /healthz /livez /metrics "
                 "/metrics/endpoints /metrics/slis /plan-digest /proxyMode /readyz /statusz\n"));
  CHECK_THAT(get("/configz"), ContainsSubstring("Content-Type: application/json"));
}

}  // namespace agent
