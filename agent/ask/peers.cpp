// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/peers.hpp"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cstddef>
#include <map>
#include <utility>

#include "agent/ask/fields.hpp"
#include "agent/ask/table.hpp"
#include "config/printable.hpp"
#include "config/values.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;

constexpr std::chrono::seconds kTime{3};
constexpr std::uint64_t kLongest = 4096;
constexpr const char* kEqual = "equal";

std::string why(const boost::system::error_code& error) {
  if (error == beast::error::timeout) return "no answer within 3 s";
  return error.message();
}

void take(PeerAnswer& answer, const http::response<http::string_body>& response) {
  boost::system::error_code error;
  const json::value said = json::parse(response.body(), error);
  if (response.result() != http::status::ok || error) {
    answer.fault = response.result() == http::status::not_found
                       ? "it has no /plan-digest: kube-proxy, or an older kube-ipvs"
                       : "status " + std::to_string(response.result_int());
    return;
  }
  PeerAnswer read = peer_answer(said);
  read.address = std::move(answer.address);
  answer = std::move(read);
  if (answer.digest.empty()) answer.fault = "what answers there is no kube-ipvs";
}

asio::awaitable<void> ask(config::HostPort peer, PeerAnswer& answer) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  try {
    stream.expires_after(kTime);
    co_await stream.async_connect({peer.address, peer.port}, asio::use_awaitable);
    http::request<http::empty_body> request(http::verb::get, "/plan-digest", 11);
    request.set(http::field::host, answer.address);
    request.set(http::field::connection, "close");
    co_await http::async_write(stream, request, asio::use_awaitable);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLongest);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    take(answer, parser.get());
  } catch (const boost::system::system_error& error) {
    answer.fault = why(error.code());
  }
}

std::string verdict(const json::value& peer, bool some_are_equal) {
  if (const std::string fault = text_of(peer, "error"); !fault.empty()) {
    return "no answer: " + fault;
  }
  if (flag_of(peer, "equal")) return kEqual;
  if (!some_are_equal) return "differs: no digest is that of more than half";
  return flag_of(peer, "settled") ? "differs" : "differs, and is still at work";
}

}  // namespace

PeerAnswer peer_answer(const json::value& said) {
  return {.node = text_of(said, "node"),
          .version = text_of(said, "version"),
          .digest = text_of(said, "digest"),
          .programmed = count_of(said, "programmedVersion"),
          .is_settled = flag_of(said, "settled")};
}

ReadPeers read_peers(const std::string& text) {
  ReadPeers read;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(", \n", at), text.size());
    const std::string part = text.substr(at, end - at);
    at = end + 1;
    if (part.empty()) continue;
    const auto peer = config::parse_host_port(part, config::kHealthzPort);
    if (!peer || peer->port == 0) {
      read.fault = "--peers: " + config::printable_quoted(part) + " is not ADDRESS or ADDRESS:PORT";
      return read;
    }
    read.peers.push_back(*peer);
  }
  if (read.peers.empty()) read.fault = "--peers: it names no address";
  return read;
}

std::vector<PeerAnswer> ask_peers(const std::vector<config::HostPort>& peers) {
  std::vector<PeerAnswer> answers(peers.size());
  asio::io_context context(1);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    answers[i].address = config::text(peers[i]);
    asio::co_spawn(context, ask(peers[i], answers[i]), asio::detached);
  }
  context.run();
  return answers;
}

std::string digest_of_most(const std::vector<PeerAnswer>& answers) {
  std::map<std::string, std::size_t> counts;
  std::size_t all = 0;
  for (const PeerAnswer& each : answers) {
    if (each.digest.empty()) continue;
    ++counts[each.digest];
    ++all;
  }
  for (const auto& [digest, count] : counts) {
    if (2 * count > all) return digest;
  }
  return {};
}

bool are_equal(const std::vector<PeerAnswer>& answers) {
  return std::all_of(answers.begin(), answers.end(), [&](const PeerAnswer& each) {
    return !each.digest.empty() && each.digest == answers.front().digest;
  });
}

json::value peers_json(const std::vector<PeerAnswer>& answers) {
  const std::string most = digest_of_most(answers);
  json::array items;
  for (const PeerAnswer& each : answers) {
    json::object item{{"address", each.address}, {"node", each.node}};
    if (each.fault.empty()) {
      item["version"] = each.version;
      item["digest"] = each.digest;
      item["programmedVersion"] = each.programmed;
      item["settled"] = each.is_settled;
      item["equal"] = !most.empty() && each.digest == most;
    } else {
      item["error"] = each.fault;
    }
    items.push_back(std::move(item));
  }
  return json::object{{"kind", "PeerList"},
                      {"apiVersion", "kube-ipvs.io/v1"},
                      {"equal", are_equal(answers)},
                      {"items", std::move(items)}};
}

std::string peers_screen(const json::value& answer, const Look& look) {
  const json::array& peers = list_of(answer, "items");
  const bool some_are_equal = std::any_of(
      peers.begin(), peers.end(), [](const json::value& peer) { return flag_of(peer, "equal"); });
  std::vector<Row> rows;
  for (const json::value& peer : peers) {
    const std::string address = text_of(peer, "address");
    const std::int64_t version = count_of(peer, "programmedVersion");
    const std::string says = verdict(peer, some_are_equal);
    rows.push_back({text_of(peer, "node"), address.empty() ? "this node" : address,
                    text_of(peer, "version"), text_of(peer, "digest"),
                    version == 0 ? "" : std::to_string(version),
                    Cell(says, says == kEqual ? Colour::kGood : Colour::kBad)});
  }
  return table({"NODE", "ADDRESS", "KUBE-IPVS", "DIGEST", "PROGRAMMED-VERSION", "PLAN"}, rows,
               look.colours);
}

}  // namespace agent
