// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/nameserver_watch.hpp"

#include <unistd.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>

#include "test/agent/objects.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using agent::AddressField;
using agent::nameservers_of;

struct Silent : agent::ClusterObserver {
  void on_dirty(const ipvs::Owner&) override {}
};

}  // namespace

TEST_CASE("the nameservers of a resolv.conf are those that Services could take (B1)") {
  CHECK(nameservers_of("").empty());
  CHECK(nameservers_of("# nameserver 192.0.2.1\nsearch example.org\nnameserver 192.0.2.53\r\n"
                       "nameserver\t2001:db8::53 # the second\nnameserver 192.0.2.53\n"
                       "nameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\n"
                       "nameservers 192.0.2.2\n nameserver 192.0.2.3\nnameserver\nnameserver x\n"
                       "options ndots:5\nnameserver 192.0.2.54") ==
        kernel_ips({"192.0.2.53", "192.0.2.54", "2001:db8::53"}));
}

TEST_CASE("a changed resolv.conf is read again, and each file counts (B1)") {
  const auto directory =
      std::filesystem::temp_directory_path() / ("nameservers-" + std::to_string(::getpid()));
  std::filesystem::create_directory(directory);
  const auto write = [&](const std::string& name, const std::string& text) {
    const auto next = directory / "next";
    std::ofstream(next) << text;
    std::filesystem::rename(next, directory / name);  // as DHCP clients do
  };
  const config::Config config{.node_name = kThisNode};
  Silent observer;
  agent::ClusterState cluster(config, observer);
  const auto refused = [&](const std::string& address) {
    return cluster.node_view()
        .addresses.refusal({.address = ip(address), .field = AddressField::kExternalIp})
        .has_value();
  };
  asio::io_context context;
  agent::NameserverWatch watch(
      context.get_executor(), cluster,
      {.files = {directory / "resolv.conf", directory / "systemd", directory / "missing"},
       .period = std::chrono::milliseconds(1)});
  write("resolv.conf", "nameserver 192.0.2.53\n");
  write("systemd", "nameserver 192.0.2.54\n");
  watch.read();
  CHECK(refused("192.0.2.53"));
  CHECK(refused("192.0.2.54"));
  write("resolv.conf", "nameserver 192.0.2.55\n");
  asio::cancellation_signal stop;
  asio::co_spawn(context, watch.run(),
                 asio::bind_cancellation_slot(stop.slot(), [](std::exception_ptr) {}));
  while (!refused("192.0.2.55")) context.run_one();
  CHECK_FALSE(refused("192.0.2.53"));
  CHECK(refused("192.0.2.54"));
  stop.emit(asio::cancellation_type::terminal);
  context.run();
  std::filesystem::remove_all(directory);
}
