// SPDX-License-Identifier: Apache-2.0
#include "ipvs/netlink/replies.hpp"

#include <linux/netlink.h>
#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <limits>
#include <string>
#include <vector>

#include "ipvs/state/kernel.hpp"

namespace {

using ipvs::Bytes;
using ipvs::DumpCollector;
using ipvs::kUnknownOutcome;
using ipvs::NetlinkMessage;
using ipvs::OutcomeCollector;

// Builds datagrams like those of the kernel.
class Datagram {
 public:
  Datagram& error(std::uint32_t sequence, int error_number, const std::string& words = {}) {
    std::vector<std::byte> payload;
    const std::uint32_t negative = 0U - static_cast<std::uint32_t>(error_number);
    append(payload, &negative, sizeof(negative));
    nlmsghdr request{};
    request.nlmsg_len = 200;  // with NLM_F_CAPPED only the header is returned
    request.nlmsg_seq = sequence;
    append(payload, &request, sizeof(request));
    int flags = NLM_F_CAPPED;
    if (!words.empty()) {
      flags |= NLM_F_ACK_TLVS;
      ipvs::MessageBatch batch;
      batch.begin_message(0);
      batch.put_string(NLMSGERR_ATTR_MSG, words);
      const Bytes attribute = batch.message_bytes(0).subspan(sizeof(nlmsghdr));
      append(payload, attribute.data(), attribute.size());
    }
    return message(NLMSG_ERROR, flags, sequence, payload);
  }
  Datagram& done(std::uint32_t sequence, int error_number = 0, int flags = NLM_F_MULTI) {
    const std::int32_t negative = -error_number;
    std::vector<std::byte> payload;
    append(payload, &negative, sizeof(negative));
    return message(NLMSG_DONE, flags, sequence, payload);
  }
  Datagram& data(std::uint32_t sequence, int flags = NLM_F_MULTI) {
    return message(20, flags, sequence, std::vector<std::byte>(8));
  }
  operator Bytes() const { return bytes_; }

 private:
  static void append(std::vector<std::byte>& to, const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    to.insert(to.end(), bytes, bytes + size);
  }
  Datagram& message(std::uint16_t type, int flags, std::uint32_t sequence,
                    const std::vector<std::byte>& payload) {
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(sizeof(header) + payload.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(flags);
    header.nlmsg_seq = sequence;
    append(bytes_, &header, sizeof(header));
    append(bytes_, payload.data(), payload.size());
    bytes_.resize((bytes_.size() + 3) & ~std::size_t{3});
    return *this;
  }

  std::vector<std::byte> bytes_;
};

std::vector<int> outcomes_of(const OutcomeCollector& collector) {
  std::vector<int> outcomes;
  for (std::size_t i = 0; i < collector.size(); ++i) outcomes.push_back(collector.outcome(i));
  return outcomes;
}

}  // namespace

TEST_CASE("one acknowledgement confirms all requests before it that were not refused") {
  OutcomeCollector collector(100, 4, 3);
  collector.feed(Datagram().error(101, EEXIST), {});
  CHECK_FALSE(collector.complete());
  collector.feed(Datagram().error(103, 0), {});
  CHECK(collector.complete());
  CHECK(outcomes_of(collector) == std::vector<int>{0, EEXIST, 0, 0});
}

TEST_CASE("an error for the last request completes a send as an acknowledgement does") {
  OutcomeCollector collector(100, 2, 1);
  collector.feed(Datagram().error(101, ENOENT), {});
  CHECK(collector.complete());
  CHECK(outcomes_of(collector) == std::vector<int>{0, ENOENT});
}

TEST_CASE("replies to other requests are ignored") {
  OutcomeCollector collector(100, 2, 1);
  collector.feed(Datagram().error(99, EPERM).error(102, EPERM).error(0, EPERM), {});
  CHECK_FALSE(collector.complete());
  collector.feed(Datagram().error(101, 0), {});
  CHECK(outcomes_of(collector) == std::vector<int>{0, 0});
}

TEST_CASE("after a lost reply only requests that were answered have a known outcome") {
  OutcomeCollector collector(100, 4, 3);
  collector.feed(Datagram().error(101, EEXIST), {});
  collector.lose();
  CHECK(outcomes_of(collector) ==
        std::vector<int>{kUnknownOutcome, EEXIST, kUnknownOutcome, kUnknownOutcome});
  CHECK(collector.first_error() == EEXIST);
}

TEST_CASE("the kernel's error message is kept") {
  OutcomeCollector collector(1, 2, 1);
  collector.feed(Datagram().error(1, EINVAL, "Invalid prefix").error(2, 0), {});
  CHECK(collector.extended() == "Invalid prefix");
}

TEST_CASE("a transaction ends with an error for its first message or with its acknowledgement") {
  OutcomeCollector refused(10, 3, 1, OutcomeCollector::Scope::kWholeSend);
  refused.feed(Datagram().error(10, EPERM), {});
  CHECK(refused.complete());
  CHECK(refused.first_error() == EPERM);

  OutcomeCollector done(10, 3, 1, OutcomeCollector::Scope::kWholeSend);
  done.feed(Datagram().error(11, 0), {});
  CHECK(done.complete());
  CHECK(done.first_error() == 0);
}

TEST_CASE("a transaction with a lost reply has an unknown outcome") {
  OutcomeCollector collector(10, 3, 1, OutcomeCollector::Scope::kWholeSend);
  collector.lose();
  CHECK(collector.first_error() == kUnknownOutcome);
}

TEST_CASE("answers are delivered with the index of their request") {
  OutcomeCollector collector(5, 3, 2);
  std::vector<std::size_t> answered;
  collector.feed(Datagram().data(7, 0).data(5, 0).error(7, 0),
                 [&](std::size_t index, const NetlinkMessage&) { answered.push_back(index); });
  CHECK(answered == std::vector<std::size_t>{2, 0});
}

TEST_CASE("a dump ends with the error in its last message") {
  DumpCollector collector(9);
  int messages = 0;
  const auto count = [&](const NetlinkMessage&) { ++messages; };
  collector.feed(Datagram().data(9).data(8).data(9), count);
  CHECK_FALSE(collector.finished());
  collector.feed(Datagram().done(9, ENOMEM), count);
  CHECK(messages == 2);
  CHECK(collector.verdict().error_number == ENOMEM);
}

TEST_CASE("an interrupted dump is recognised") {
  DumpCollector collector(9);
  collector.feed(Datagram().data(9, NLM_F_MULTI | NLM_F_DUMP_INTR).done(9), [](const auto&) {});
  CHECK(collector.finished());
  CHECK(collector.interrupted());

  DumpCollector at_the_end(9);
  at_the_end.feed(Datagram().data(9).done(9, 0, NLM_F_MULTI | NLM_F_DUMP_INTR), [](const auto&) {});
  CHECK(at_the_end.interrupted());
}

TEST_CASE("collectors read any bytes without a crash") {
  REQUIRE(rc::check("any bytes", [](const std::vector<std::uint8_t>& input) {
    const Bytes bytes = std::as_bytes(std::span(input));
    OutcomeCollector outcomes(0, 3, 2);
    outcomes.feed(bytes, [](std::size_t index, const NetlinkMessage&) { RC_ASSERT(index < 3u); });
    DumpCollector dump(0);
    dump.feed(bytes, [](const NetlinkMessage&) {});
  }));
}

TEST_CASE("a number that is not a negative errno is reported as an error") {
  for (const int number : {-5, std::numeric_limits<int>::min()}) {
    OutcomeCollector collector(1, 1, 0);
    collector.feed(Datagram().error(1, number), {});
    CHECK(collector.outcome(0) == EPROTO);
  }
}
