// SPDX-License-Identifier: Apache-2.0
#include "ipvs/netlink/replies.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "ipvs/state/kernel.hpp"

namespace ipvs {

std::optional<NetlinkMessage> MessageReader::next() {
  nlmsghdr header;
  if (rest_.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, rest_.data(), sizeof(header));
  if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest_.size()) {
    rest_ = {};
    return std::nullopt;
  }
  const NetlinkMessage message{
      .type = header.nlmsg_type,
      .flags = header.nlmsg_flags,
      .sequence = header.nlmsg_seq,
      .port = header.nlmsg_pid,
      .payload = rest_.subspan(sizeof(header), header.nlmsg_len - sizeof(header))};
  const std::size_t padded = (std::size_t{header.nlmsg_len} + 3) & ~std::size_t{3};
  rest_ = rest_.subspan(std::min(padded, rest_.size()));
  return message;
}

Verdict read_verdict(const NetlinkMessage& message) {
  std::int32_t error;
  if (message.payload.size() < sizeof(error)) return {};
  std::memcpy(&error, message.payload.data(), sizeof(error));
  // The kernel sends 0 or a negative errno; anything else (a positive number, or the smallest
  // integer, which cannot be negated) is invalid.
  const bool plausible = error <= 0 && error != std::numeric_limits<std::int32_t>::min();
  Verdict verdict{.error_number = plausible ? -error : EPROTO, .extended = {}};
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return verdict;

  std::size_t header_size = sizeof(error);
  if (message.type == NLMSG_ERROR) {
    header_size += sizeof(nlmsghdr);
    if (message.payload.size() < header_size) return verdict;
    nlmsghdr request;
    std::memcpy(&request, message.payload.data() + sizeof(error), sizeof(request));
    if ((message.flags & NLM_F_CAPPED) == 0 && request.nlmsg_len > sizeof(request)) {
      header_size += request.nlmsg_len - sizeof(request);
    }
  }
  for (AttributeReader reader(message.payload, header_size);
       const auto attribute = reader.next();) {
    if (attribute->type == NLMSGERR_ATTR_MSG) verdict.extended = attribute->string();
  }
  return verdict;
}

OutcomeCollector::OutcomeCollector(std::uint32_t first_sequence, std::size_t count,
                                   std::size_t acknowledged, Scope scope)
    : first_sequence_(first_sequence),
      acknowledged_(acknowledged),
      scope_(scope),
      outcomes_(count) {}

void OutcomeCollector::feed(Bytes datagram, const OnReply& on_reply) {
  MessageReader reader(datagram);
  while (const auto message = reader.next()) {
    // Modulo 2^32, like the sequence numbers.
    const std::uint32_t index = message->sequence - first_sequence_;
    if (index >= outcomes_.size()) continue;
    if (message->type == NLMSG_ERROR) {
      Verdict verdict = read_verdict(*message);
      // nf_tables may report its first message more than once: an error is never replaced.
      if (outcomes_[index].value_or(0) == 0) outcomes_[index] = verdict.error_number;
      if (verdict.error_number != 0) extended_ = std::move(verdict.extended);
    } else if (message->type == NLMSG_OVERRUN) {
      lost_ = true;
    } else if (message->type >= NLMSG_MIN_TYPE && on_reply) {
      on_reply(index, *message);
    }
  }
}

bool OutcomeCollector::complete() const {
  if (outcomes_[acknowledged_]) return true;
  return scope_ == Scope::kWholeSend && outcomes_.front().value_or(0) != 0;
}

int OutcomeCollector::first_error() const {
  for (const auto& outcome : outcomes_) {
    if (outcome.value_or(0) != 0) return *outcome;
  }
  return lost_ ? kUnknownOutcome : 0;
}

std::size_t OutcomeCollector::first_refused() const {
  const auto refused = std::find_if(outcomes_.begin(), outcomes_.end(),
                                    [](const auto& outcome) { return outcome.value_or(0) != 0; });
  return static_cast<std::size_t>(refused - outcomes_.begin());
}

int OutcomeCollector::outcome(std::size_t index) const {
  if (outcomes_[index]) return *outcomes_[index];
  return lost_ ? kUnknownOutcome : 0;
}

void DumpCollector::feed(Bytes datagram, const OnMessage& on_message) {
  MessageReader reader(datagram);
  while (const auto message = reader.next()) {
    if (message->sequence != sequence_ || finished()) continue;
    if ((message->flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
    if (message->type == NLMSG_DONE || message->type == NLMSG_ERROR) {
      verdict_ = read_verdict(*message);
    } else if (message->type == NLMSG_OVERRUN) {
      verdict_ = Verdict{.error_number = ENOBUFS, .extended = "overrun"};
    } else if (message->type >= NLMSG_MIN_TYPE) {
      on_message(*message);
    }
  }
}

}  // namespace ipvs
