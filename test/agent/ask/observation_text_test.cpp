// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/observation_text.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

std::string text_of(agent::ObservationText& lines, const char* json) {
  return lines.next(boost::json::parse(json));
}

constexpr const char* kStart =
    R"({"type":"start","time":"2026-11-30T07:12:00.000Z","service":"shop/web","seconds":600,"rate":50,
        "entrances":[{"address":"10.96.0.1:80","protocol":"TCP","field":"cluster IP","port":"http"},
                     {"address":"192.0.2.1:30080","protocol":"TCP","field":"node port","port":"http"},
                     {"address":"[fd00::1]:30080","protocol":"TCP","field":"node port","port":"http"}],
        "notes":["bytes are not counted here: net.netfilter.nf_conntrack_acct is 0"]})";

}  // namespace

TEST_CASE("an observation begins with what is observed, and what cannot be known") {
  agent::ObservationText lines(false);
  const std::string text = text_of(lines, kStart);
  CHECK(
      text.starts_with("shop/web at TCP 10.96.0.1:80 (cluster IP), TCP node port 30080, "
                       "for 10m, at most about 50 lines a second\n"
                       "bytes are not counted here: net.netfilter.nf_conntrack_acct is 0\n"
                       "TIME          EVENT  CLIENT "));
  CHECK(text.ends_with("LASTED\n"));
}

TEST_CASE("a connection has a line when it begins and one when it ends, in columns") {
  agent::ObservationText lines(false);
  const std::string head = text_of(lines, kStart);
  const std::string begun =
      text_of(lines, R"({"type":"new","time":"2026-11-30T07:12:03.124Z","protocol":"TCP",
                 "client":"10.244.1.5:41234","clientName":"shop/client","entrance":"10.96.0.1:80",
                 "endpoint":"10.244.2.7:8080","endpointPod":"shop/web-1"})");
  CHECK(begun ==
        "07:12:03.124  new    10.244.1.5:41234 shop/client          "
        "10.244.2.7:8080 shop/web-1            TCP 10.96.0.1:80\n");
  const std::string ended =
      text_of(lines, R"({"type":"ended","time":"2026-11-30T07:12:03.130Z","protocol":"TCP",
                 "client":"10.244.1.5:41234","clientName":"shop/client","entrance":"10.96.0.1:80",
                 "endpoint":"10.244.2.7:8080","endpointPod":"shop/web-1","seconds":0.006,
                 "bytesIn":1474,"bytesOut":1234567,"how":"closed"})");
  CHECK(ended.starts_with("07:12:03.130  ended  10.244.1.5:41234 shop/client "));
  CHECK(ended.ends_with("1,474     1,234,567  0.006s\n"));
  CHECK(begun.find("TCP 10.96") == ended.find("TCP 10.96"));
  CHECK(head.find("ENTRANCE", head.rfind("TIME")) - head.rfind("TIME") == begun.find("TCP 10.96"));
}

TEST_CASE("what is not known of a connection is a dash") {
  agent::ObservationText lines(false);
  text_of(lines, kStart);
  const std::string text =
      text_of(lines, R"({"type":"ended","time":"2026-11-30T07:12:03.124Z","protocol":"UDP",
                         "client":"192.0.2.9:5353","entrance":"10.96.0.10:53","how":"forgotten"})");
  CHECK(text.find("192.0.2.9:5353  ") != std::string::npos);
  CHECK(text.ends_with("UDP 10.96.0.10:53     -         -         -\n"));
}

TEST_CASE("a reset is not shown as an ordinary end, and hours are readable") {
  agent::ObservationText lines(false);
  text_of(lines, kStart);
  const std::string text =
      text_of(lines, R"({"type":"ended","time":"2026-11-30T07:12:03.124Z","protocol":"TCP",
                         "client":"192.0.2.9:1","entrance":"10.96.0.1:80","seconds":11000.2,
                         "bytesIn":0,"bytesOut":0,"how":"reset"})");
  CHECK(text.find("  reset  ") != std::string::npos);
  CHECK(text.ends_with("0         0         3h3m\n"));
}

TEST_CASE("the rate, lost events and the end are sentences") {
  agent::ObservationText lines(false);
  CHECK(text_of(lines, R"({"type":"rate","new":1234,"ended":1180,"shown":97,"oneOf":25})") ==
        "1,234 new and 1,180 ended per second; 1 of 25 shown\n");
  CHECK(text_of(lines, R"({"type":"lost"})") ==
        "events were lost: more came than were read, and some connections are missing\n");
  CHECK(text_of(lines, R"({"type":"end","why":"its time is over"})") ==
        "ended: its time is over\n");
  CHECK(text_of(lines, R"({"type":"news of a later version"})").empty());
  CHECK(text_of(lines, R"("no object")").empty());
}

TEST_CASE("no name or address moves the cursor or begins a line") {
  agent::ObservationText lines(true);
  const std::string text =
      text_of(lines, R"({"type":"new","time":"\u001b[2J","protocol":"T\nCP","client":"a\rb",
                         "clientName":"\u202eevil","entrance":"c\td","endpoint":"\u0007",
                         "endpointPod":"x\u0000y"})") +
      text_of(lines, R"({"type":"end","why":"\u001b]0;title\u0007\nmore"})");
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find('\r') == std::string::npos);
  CHECK(text.find('\a') == std::string::npos);
  CHECK(text.find("\033[2J") == std::string::npos);
  CHECK(text.find("\033]") == std::string::npos);
  CHECK(text.find("\u202e") == std::string::npos);
}
