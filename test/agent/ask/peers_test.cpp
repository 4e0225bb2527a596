// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/peers.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using agent::PeerAnswer;

PeerAnswer answer(const std::string& node, const std::string& digest) {
  return {.address = "192.0.2.1:10256", .node = node, .digest = digest, .is_settled = true};
}

// Answers one request with these bytes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string bytes)
      : bytes_(std::move(bytes)), acceptor_(context_, {asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this] {
      asio::ip::tcp::socket socket = acceptor_.accept();
      asio::streambuf request;
      boost::system::error_code error;
      asio::read_until(socket, request, "\r\n\r\n", error);
      asio::write(socket, asio::buffer(bytes_), error);
    });
  }
  ~OneAnswer() { thread_.join(); }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  config::HostPort at() const {
    return {asio::ip::address_v4::loopback(), acceptor_.local_endpoint().port()};
  }

 private:
  std::string bytes_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

std::string response(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

}  // namespace

TEST_CASE("peers are read as addresses with or without a port") {
  const auto read = agent::read_peers("192.0.2.1,192.0.2.2:10300 [fd00::1]:99,fd00::2");
  REQUIRE(read.fault.empty());
  REQUIRE(read.peers.size() == 4);
  CHECK(read.peers[0].port == 10256);
  CHECK(read.peers[1].port == 10300);
  CHECK(read.peers[2].port == 99);
  CHECK(read.peers[3].address.to_string() == "fd00::2");
}

TEST_CASE("a wrong peer is named") {
  CHECK(agent::read_peers("192.0.2.1,node-2").fault ==
        "--peers: \"node-2\" is not ADDRESS or ADDRESS:PORT");
  CHECK(agent::read_peers("192.0.2.1:70000").fault.find("192.0.2.1:70000") != std::string::npos);
  CHECK(agent::read_peers("192.0.2.1:0").fault.find("192.0.2.1:0") != std::string::npos);
  CHECK(agent::read_peers(" , ").fault == "--peers: it names no address");
  CHECK(agent::read_peers("\033[2J").fault.find('\033') == std::string::npos);
}

TEST_CASE("the node that differs is the one that is not as most are") {
  const std::vector<PeerAnswer> answers{answer("a", "111"),
                                        answer("b", "222"),
                                        answer("c", "111"),
                                        {.address = "192.0.2.9:10256", .fault = "refused"}};
  CHECK(agent::digest_of_most(answers) == "111");
  CHECK(!agent::are_equal(answers));
  const std::string screen = agent::peers_screen(agent::peers_json(answers), {});
  std::istringstream lines(screen);
  std::vector<std::string> ends;
  for (std::string line; std::getline(lines, line);) ends.push_back(line.substr(line.rfind("  ")));
  CHECK(ends == std::vector<std::string>{"  PLAN", "  equal", "  differs", "  equal",
                                         "  no answer: refused"});
  const auto json = agent::peers_json(answers);
  CHECK(boost::json::serialize(json).find(R"("node":"b","version":"","digest":"222")") !=
        std::string::npos);
}

TEST_CASE("where no digest is that of more than half, every node differs") {
  const std::vector<PeerAnswer> answers{answer("a", "111"), answer("b", "222")};
  CHECK(agent::digest_of_most(answers).empty());
  CHECK(agent::peers_screen(agent::peers_json(answers), {}).find("equal") == std::string::npos);
  CHECK(agent::are_equal({answer("a", "111"), answer("b", "111")}));
}

TEST_CASE("peers are asked by HTTP, and what does not answer so says why") {
  const OneAnswer good(response(
      "200 OK",
      R"({"node":"n2","version":"v1","digest":"0a","programmedVersion":7,"settled":true})"));
  const OneAnswer old(response("404 Not Found", "no\n"));
  const OneAnswer other(response("200 OK", "<html>"));
  const OneAnswer strange(response("200 OK", R"({"digest":5})"));
  const OneAnswer closes("");
  const auto answers =
      agent::ask_peers({good.at(), old.at(), other.at(), strange.at(), closes.at()});
  REQUIRE(answers.size() == 5);
  CHECK(answers[0].node == "n2");
  CHECK(answers[0].digest == "0a");
  CHECK(answers[0].programmed == 7);
  CHECK(answers[0].fault.empty());
  CHECK(answers[1].fault == "it has no /plan-digest: kube-proxy, or an older kube-ipvs");
  for (std::size_t i = 2; i < 5; ++i) {
    INFO(i);
    CHECK(!answers[i].fault.empty());
    CHECK(answers[i].digest.empty());
  }
}
