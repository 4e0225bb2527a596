// SPDX-License-Identifier: Apache-2.0
#include "agent/report/notify_socket.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>

#include "test/agent/report/notify_receiver.hpp"

namespace {

using agent::NotifySettings;
using agent::NotifySocket;
using agent::test::NotifyReceiver;
using namespace std::chrono_literals;

NotifySettings settings_of(const std::map<std::string, std::string>& variables) {
  return agent::read_notify_settings(
      [&](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      42);
}

}  // namespace

TEST_CASE("a message reaches a socket in a directory and an abstract one (17.6)") {
  for (const auto kind : {NotifyReceiver::Kind::kPath, NotifyReceiver::Kind::kAbstract}) {
    NotifyReceiver manager(kind);
    NotifySocket socket(manager.address);
    CHECK(socket.is_wanted());
    CHECK(socket.send("READY=1\n"));
    CHECK(manager.take() == std::vector<std::string>{"READY=1\n"});
  }
}

TEST_CASE("nothing is sent without NOTIFY_SOCKET, and a name that is none is one fault (17.6)") {
  CHECK_FALSE(NotifySocket("").is_wanted());
  CHECK(NotifySocket("").fault().empty());
  for (const std::string& address :
       {std::string("vsock:2:1234"), std::string("relative"), std::string("@"), std::string("/"),
        "/" + std::string(200, 'x')}) {
    NotifySocket socket(address);
    CHECK_FALSE(socket.is_wanted());
    CHECK_FALSE(socket.send("READY=1\n"));
    CHECK(socket.fault().starts_with("NOTIFY_SOCKET="));
    CHECK(socket.fault().ends_with("the service manager is not notified"));
  }
}

TEST_CASE("a receiver that is gone or full costs one message and no time (17.6)") {
  CHECK_FALSE(NotifySocket("/nonexistent/socket").send("READY=1\n"));
  NotifyReceiver manager;
  NotifySocket socket(manager.address);
  int taken = 0;
  while (socket.send("STATUS=x\n")) ++taken;  // it would never end if it waited
  CHECK(taken > 0);
  manager.take();
  CHECK(socket.send("READY=1\n"));
}

TEST_CASE(
    "the watchdog is for the process that WATCHDOG_PID names, or for whoever reads it (17.6)") {
  using Watchdog = std::optional<std::chrono::microseconds>;
  const auto watchdog = [](std::map<std::string, std::string> variables) {
    variables["NOTIFY_SOCKET"] = "@x";
    return settings_of(variables).watchdog;
  };
  CHECK(watchdog({{"WATCHDOG_USEC", "30000000"}}) == Watchdog(30s));
  CHECK(watchdog({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "42"}}) == Watchdog(30s));
  CHECK(watchdog({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "43"}}) == std::nullopt);
  for (const char* bad : {"", "0", "-1", "soon", "1s", "99999999999999999999"}) {
    CHECK(watchdog({{"WATCHDOG_USEC", bad}}) == std::nullopt);
  }
  CHECK(settings_of({{"WATCHDOG_USEC", "30000000"}}).watchdog == std::nullopt);
  CHECK(settings_of({{"NOTIFY_SOCKET", "/run/x"}}).socket == "/run/x");
}

TEST_CASE("the variables are taken out of the environment, so that no child speaks for us (17.6)") {
  ::setenv("NOTIFY_SOCKET", "@x", 1);
  ::setenv("WATCHDOG_USEC", "2000000", 1);
  const NotifySettings settings = agent::take_notify_settings();
  CHECK(settings.socket == "@x");
  CHECK(settings.watchdog == std::chrono::microseconds(2s));
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
}

TEST_CASE("a value of others cannot begin a line of its own (17.6)") {
  CHECK(agent::notify_line("STATUS", "bad\nREADY=1") == "STATUS=bad\\nREADY=1\n");
}
