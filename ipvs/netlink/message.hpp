// SPDX-License-Identifier: Apache-2.0
//
// Netlink messages as bytes: MessageBatch writes a batch of them, AttributeReader reads the
// attributes of one. Pure; the socket is ipvs/netlink/socket.hpp.
//
// Layout of a message (include/uapi/linux/netlink.h). Every part is padded to 4 bytes; integers are
// in host byte order unless the attribute says otherwise.
//
//   struct nlmsghdr  { u32 nlmsg_len, u16 nlmsg_type, u16 nlmsg_flags,
//                      u32 nlmsg_seq, u32 nlmsg_pid }
//   family header    genlmsghdr, nfgenmsg, ifaddrmsg, ifinfomsg or rtmsg
//   attributes, each:
//     struct nlattr  { u16 nla_len, u16 nla_type }   nla_len counts this header, but no padding
//     payload        a value, or again attributes (a nest)
#pragma once

#include <boost/container/vector.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ipvs/state/address.hpp"

namespace ipvs {

using Bytes = std::span<const std::byte>;

// Size at which a batch of many operations is sent, about what one send takes: so any number of
// operations needs no more memory than this.
inline constexpr std::size_t kBatchBytes = std::size_t{60} * 1024;

// Many messages in one block of memory, in the order in which they were begun. A message or an
// attribute needs no allocation of its own, and a socket can send any run of messages directly from
// the block. A message ends where the next one begins.
//
// Invariants: every message starts and ends on a multiple of 4 bytes. The length of a nest is
// written by end_nest(), that of a message by message_bytes() or seal().
class MessageBatch {
 public:
  // `flags` are NLM_F_*. NLM_F_REQUEST is added here, NLM_F_ACK and the sequence number by the
  // socket.
  void begin_message(std::uint16_t type, std::uint16_t flags = 0);
  // The family's fixed header, directly after begin_message().
  template <typename T>
  void put_header(const T& header) {
    static_assert(std::is_trivially_copyable_v<T>);
    append(&header, sizeof(header));
  }

  // Each appends an attribute to the last message. `be`: big-endian on the wire.
  void put_flag(std::uint16_t type) { put(type, nullptr, 0); }
  void put_u8(std::uint16_t type, std::uint8_t value) { put(type, &value, sizeof(value)); }
  void put_u16(std::uint16_t type, std::uint16_t value) { put(type, &value, sizeof(value)); }
  void put_u32(std::uint16_t type, std::uint32_t value) { put(type, &value, sizeof(value)); }
  void put_u64(std::uint16_t type, std::uint64_t value) { put(type, &value, sizeof(value)); }
  void put_be16(std::uint16_t type, std::uint16_t value);
  void put_be32(std::uint16_t type, std::uint32_t value);
  void put_be64(std::uint16_t type, std::uint64_t value);
  void put_string(std::uint16_t type, std::string_view text);  // with its terminating NUL
  void put_bytes(std::uint16_t type, Bytes bytes) { put(type, bytes.data(), bytes.size()); }
  void put_address(std::uint16_t type, const Address& address);  // 4 or 16 bytes
  template <typename T>
  void put_struct(std::uint16_t type, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    put(type, &value, sizeof(value));
  }

  // A nest may contain nests. The result is the handle for end_nest() and nest_size(). An
  // attribute, and so a nest, has at most 65,535 bytes; a caller that could exceed this checks
  // nest_size().
  [[nodiscard]] std::size_t begin_nest(std::uint16_t type);
  void end_nest(std::size_t nest);
  std::size_t nest_size(std::size_t nest) const { return bytes_.size() - nest; }

  std::size_t size() const { return offsets_.size(); }  // messages
  bool empty() const { return offsets_.empty(); }
  std::size_t byte_size() const { return bytes_.size(); }
  // All bytes of message `index` as they are sent; this call writes its nlmsg_len.
  Bytes message_bytes(std::size_t index);
  std::uint16_t message_type(std::size_t index) const;
  void clear();  // keeps the memory for reuse

  // For the socket: offset() is where message `index` starts (for size(): the end of the last one),
  // seal() fills in the header fields.
  std::size_t offset(std::size_t index) const;
  void seal(std::size_t index, std::uint32_t sequence, std::uint16_t flags);
  const std::byte* data() const { return bytes_.data(); }

 private:
  // Appends `size` bytes for the caller to fill in, and their padding, which is zeroed.
  std::byte* grow(std::size_t size);
  void append(const void* data, std::size_t size);
  void put(std::uint16_t type, const void* data, std::size_t size);

  boost::container::vector<std::byte> bytes_;  // unlike std::vector, it can grow without zeroing
  std::vector<std::uint32_t> offsets_;
};

// One attribute as read. The typed readers return nullopt if the payload is too short.
struct Attribute {
  std::uint16_t type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  Bytes payload;

  std::optional<std::uint8_t> u8() const { return read<std::uint8_t>(); }
  std::optional<std::uint16_t> u16() const { return read<std::uint16_t>(); }
  std::optional<std::uint32_t> u32() const { return read<std::uint32_t>(); }
  std::optional<std::uint64_t> u64() const { return read<std::uint64_t>(); }
  std::optional<std::uint16_t> be16() const;
  std::optional<std::uint32_t> be32() const;
  std::optional<std::uint64_t> be64() const;
  std::string_view string() const;  // up to the first NUL or the end
  // By length: 4 bytes are IPv4, 16 are IPv6; nullopt for any other length.
  std::optional<Address> address() const;
  template <typename T>
  std::optional<T> read() const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (payload.size() < sizeof(value)) return std::nullopt;
    std::memcpy(&value, payload.data(), sizeof(value));
    return value;
  }
};

// Reads attributes one by one, and never past the end of the bytes, whatever their lengths say.
//   for (AttributeReader reader(bytes); auto attribute = reader.next();) ...
class AttributeReader {
 public:
  explicit AttributeReader(Bytes bytes) : rest_(bytes) {}
  // Reads the attributes after a family header of `header_size` bytes; there are none if the
  // message is shorter than that.
  AttributeReader(Bytes message_payload, std::size_t header_size);
  // Nullopt at the end, and from the first attribute with an invalid length on.
  std::optional<Attribute> next();
  // Whether the message or an attribute in it has an invalid length, as far as it was read.
  bool malformed() const { return malformed_; }

 private:
  Bytes rest_;
  bool malformed_ = false;
};

}  // namespace ipvs
