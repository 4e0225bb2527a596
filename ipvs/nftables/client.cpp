// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/client.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include "ipvs/nftables/decode.hpp"
#include "ipvs/nftables/requirements.hpp"
#include "ipvs/nftables/table.hpp"

namespace ipvs {
namespace {

constexpr int kReadAttempts = 20;

// Some thousands of elements.
constexpr std::size_t kUnheardFrom = std::size_t{256} * 1024;

// While it lives, the monitor gets no notifications. For each element that is added or deleted the
// kernel would write one as soon as anybody listens, which makes a large transaction five times as
// long, and they would not fit into the monitor's buffer.
class Unheard {
 public:
  explicit Unheard(int monitor) : monitor_(monitor) { set(NETLINK_DROP_MEMBERSHIP); }
  ~Unheard() { set(NETLINK_ADD_MEMBERSHIP); }
  Unheard(const Unheard&) = delete;
  Unheard& operator=(const Unheard&) = delete;

 private:
  void set(int option) const {
    const int group = NFNLGRP_NFTABLES;
    if (monitor_ >= 0) ::setsockopt(monitor_, SOL_NETLINK, option, &group, sizeof(group));
  }
  const int monitor_;
};

std::string_view name_of(std::uint16_t message_type) {
  switch (NFNL_MSG_TYPE(message_type)) {
    case NFT_MSG_NEWTABLE:
      return "NEWTABLE";
    case NFT_MSG_DELTABLE:
      return "DELTABLE";
    case NFT_MSG_NEWCHAIN:
      return "NEWCHAIN";
    case NFT_MSG_NEWRULE:
      return "NEWRULE";
    case NFT_MSG_NEWSET:
      return "NEWSET";
    case NFT_MSG_NEWSETELEM:
      return "NEWSETELEM";
    case NFT_MSG_DELSETELEM:
      return "DELSETELEM";
    default:
      return "batch";
  }
}

// For the errors of a kernel without nf_tables.
std::string_view remedy_for(int error) {
  return error == EINVAL || error == EOPNOTSUPP || error == EPROTONOSUPPORT
             ? "; try modprobe nf_tables"
             : "";
}

KernelError reading_failed(int error, std::string_view what) {
  std::string text = "reading the nftables table ";
  text.append(kTableName).append(" (").append(what).append(")").append(remedy_for(error));
  return {error, std::move(text)};
}

}  // namespace

NftClient::NftClient(NetlinkSocket socket)
    : socket_(std::move(socket)), port_(std::make_shared<Own>()) {
  port_->port = socket_.port();
}

Result<NftClient> NftClient::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return NftClient(std::move(*socket));
}

int NftClient::send(Transaction transaction) {
  outcome_ = {};
  if (transaction.misplaced) {
    outcome_ = {.error = EINVAL,
                .first_op = *transaction.misplaced,
                .last_op = *transaction.misplaced + 1,
                .refused = "no set of the table can hold this element"};
    return EINVAL;
  }
  std::size_t refused = 0;
  const bool is_large = transaction.batch.byte_size() >= kUnheardFrom;
  {
    const Unheard unheard(is_large ? port_->monitor.load() : -1);
    outcome_.error = socket_.transact_atomically(transaction.batch, &refused);
  }
  // The socket may have been reopened.
  port_->port.store(socket_.port(), std::memory_order_relaxed);
  if (is_large && outcome_.error == 0) {
    // Nobody would have reported that somebody else deleted it meanwhile.
    const auto found = exists();
    if (found && !*found) outcome_.error = ENOENT;
  }
  outcome_.refused_message = refused;
  if (outcome_.error > 0 && refused < transaction.ranges.size()) {
    outcome_.first_op = transaction.ranges[refused].first;
    outcome_.last_op = transaction.ranges[refused].last;
    outcome_.refused = name_of(transaction.batch.message_type(refused));
    outcome_.refused += ": ";
    outcome_.refused +=
        socket_.extended().empty() ? std::strerror(outcome_.error) : socket_.extended();
  }
  return outcome_.error;
}

int NftClient::install_table(const TableRules& rules, std::span<const Element> elements) {
  const int error = send(encode_install(rules, elements));
  if (error == 0) read_sets_ = rules.sets;
  return error;
}

int NftClient::replace_rules(const TableRules& rules) {
  const int error = send(encode_replace_rules(rules));
  if (error == 0) read_sets_ = rules.sets;
  return error;
}

int NftClient::change_elements(std::span<const ElementOp> ops) {
  if (ops.empty()) {
    outcome_ = {};
    return 0;
  }
  // An element that no rule reads would protect nothing.
  const auto is_unread = [this](const ElementOp& op) {
    return op.add && !read_sets_.contains(op.element);
  };
  const auto unread = std::find_if(ops.begin(), ops.end(), is_unread);
  if (unread != ops.end()) {
    const auto index = static_cast<std::size_t>(unread - ops.begin());
    outcome_ = {.error = EAGAIN,
                .first_op = index,
                .last_op = index + 1,
                .refused = "no rule reads the set of this element yet"};
    return EAGAIN;
  }
  return send(encode_changes(ops));
}

int NftClient::delete_table() { return send(encode_delete_table()); }

int NftClient::keep_masquerading() { return send(encode_keep_masquerading()); }

Result<bool> NftClient::exists() {
  MessageBatch query;
  encode_get_table(query);
  const int error = socket_.transact(query).front();
  if (error == 0 || error == ENOENT) return yes_or_no(error == 0);
  return reading_failed(error, "GETTABLE");
}

Result<void> NftClient::try_table() {
  const auto found = exists();
  if (!found) return found.error();
  if (*found) return {};  // the kernel has it
  const int error = install_table({}, {});
  if (error == 0) {
    const int deleted = delete_table();
    if (deleted == 0) return {};
    return KernelError{deleted, "deleting the nftables table kube-ipvs after the trial"};
  }
  // About rights, memory or a lost reply, and not about what the kernel can do.
  const bool about_features = error == ENOENT || error == EOPNOTSUPP || error == EINVAL;
  if (!about_features) return KernelError{error, "trying the nftables table kube-ipvs"};
  return KernelError{error, "this kernel cannot hold the nftables table kube-ipvs; " +
                                refused_part({}, outcome_.refused_message)};
}

Result<std::vector<Element>> NftClient::read_elements(bool& table_present) {
  table_present = false;
  std::vector<Element> elements;
  const auto found = exists();
  if (!found) return found.error();
  if (!*found) return elements;

  bool complete = true;
  for (const TableSet& set : table_sets()) {
    const int read = read_set(set.name, elements);
    if (read != 0 && read != ENOENT) return reading_failed(read, set.name);
    complete = complete && read == 0;
  }
  table_present = complete;
  return elements;
}

// Appends the set's elements, ordered by key. The result is an errno.
//
// After many insertions the kernel enlarges the set's hash table in the background (net/netfilter/
// nft_set_hash.c) and continues a running dump at the n-th element of another order: some elements
// come twice and others never, without an error. But every pass numbers at least all elements and
// every number is sent once: if none comes twice, none is missing.
int NftClient::read_set(std::string_view name, std::vector<Element>& elements) {
  const auto start = static_cast<std::ptrdiff_t>(elements.size());
  const auto forget = [&] { elements.erase(elements.begin() + start, elements.end()); };
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    MessageBatch request;
    encode_get_elements(request, name);
    const auto read = socket_.dump(request, forget, [&](const NetlinkMessage& message) {
      decode_elements(message.payload, elements);
    });
    if (!read) {
      forget();
      return read.error().error_number;
    }
    std::sort(elements.begin() + start, elements.end(), ElementKeyLess{});
    if (std::adjacent_find(elements.begin() + start, elements.end()) == elements.end()) return 0;
    forget();
  }
  return EINTR;
}

}  // namespace ipvs
