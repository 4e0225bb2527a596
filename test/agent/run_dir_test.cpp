// SPDX-License-Identifier: Apache-2.0
#include "agent/run_dir.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;

struct RunDir {
  RunDir() {
    config.run_dir = fs::temp_directory_path() / ("kube-ipvs-run." + std::to_string(::getpid()));
    fs::create_directories(config.run_dir);
  }
  ~RunDir() { fs::remove_all(config.run_dir); }
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;

  // As a killed agent leaves it.
  void leave_socket(const std::string& path) const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
  }
  config::Config config;
};

}  // namespace

TEST_CASE("a cleanup removes what questions have left, and nothing else") {
  const RunDir here;
  const std::string history = agent::in_run_dir(here.config, agent::kHistory);
  fs::create_directories(history);
  std::ofstream(history + "/000001.z") << "x";
  std::ofstream(agent::in_run_dir(here.config, agent::kDrains)) << "x";
  std::ofstream(here.config.run_dir + "/servers-1") << "x";
  here.leave_socket(here.config.run_dir + "/api.sock");
  CHECK(agent::remove_answers(here.config).empty());
  CHECK(std::distance(fs::directory_iterator(here.config.run_dir), fs::directory_iterator()) == 1);
  CHECK(fs::exists(here.config.run_dir + "/servers-1"));
  CHECK(agent::remove_answers(here.config).empty());  // there is nothing to remove
}

TEST_CASE("a socket at a path of its own stays, and without --run-dir there is nothing") {
  RunDir here;
  here.config.api_socket = here.config.run_dir + "/mine.sock";
  here.leave_socket(here.config.api_socket);
  CHECK(agent::remove_answers(here.config).empty());
  CHECK(fs::exists(here.config.api_socket));
  const config::Config none{.run_dir = ""};
  CHECK(agent::in_run_dir(none, agent::kHistory).empty());
  CHECK(agent::socket_of(none) == "off");
  CHECK(agent::remove_answers(none).empty());
}
