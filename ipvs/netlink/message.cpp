// SPDX-License-Identifier: Apache-2.0
#include "ipvs/netlink/message.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <limits>

namespace ipvs {
namespace {

constexpr std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(value));
}

template <typename T>
std::optional<T> from_big_endian(std::optional<T> value) {
  if (value) boost::endian::big_to_native_inplace(*value);
  return value;
}

}  // namespace

void MessageBatch::begin_message(std::uint16_t type, std::uint16_t flags) {
  offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  append(&header, sizeof(header));
}

void MessageBatch::put_be16(std::uint16_t type, std::uint16_t value) {
  put_u16(type, boost::endian::native_to_big(value));
}

void MessageBatch::put_be32(std::uint16_t type, std::uint32_t value) {
  put_u32(type, boost::endian::native_to_big(value));
}

void MessageBatch::put_be64(std::uint16_t type, std::uint64_t value) {
  put_u64(type, boost::endian::native_to_big(value));
}

void MessageBatch::put_string(std::uint16_t type, std::string_view text) {
  const std::size_t length = sizeof(nlattr) + text.size() + 1;
  const nlattr header{static_cast<std::uint16_t>(length), type};
  std::byte* const start = grow(length);
  std::memcpy(start, &header, sizeof(header));
  std::memcpy(start + sizeof(header), text.data(), text.size());
  start[length - 1] = std::byte{0};
}

void MessageBatch::put_address(std::uint16_t type, const Address& address) {
  put(type, address.bytes().data(), address.bytes().size());
}

std::size_t MessageBatch::begin_nest(std::uint16_t type) {
  const std::size_t nest = bytes_.size();
  const nlattr header{0, static_cast<std::uint16_t>(type | NLA_F_NESTED)};
  append(&header, sizeof(header));
  return nest;
}

void MessageBatch::end_nest(std::size_t nest) {
  BOOST_ASSERT(nest_size(nest) <= std::numeric_limits<std::uint16_t>::max());
  store(bytes_.data() + nest, static_cast<std::uint16_t>(nest_size(nest)));
}

std::byte* MessageBatch::grow(std::size_t size) {
  const std::size_t start = bytes_.size();
  bytes_.resize(start + padded(size), boost::container::default_init);
  std::fill(bytes_.begin() + static_cast<std::ptrdiff_t>(start + size), bytes_.end(), std::byte{0});
  return bytes_.data() + start;
}

void MessageBatch::append(const void* data, std::size_t size) {
  std::memcpy(grow(size), data, size);
}

void MessageBatch::put(std::uint16_t type, const void* data, std::size_t size) {
  BOOST_ASSERT(sizeof(nlattr) + size <= std::numeric_limits<std::uint16_t>::max());
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
  std::byte* const start = grow(sizeof(header) + size);
  std::memcpy(start, &header, sizeof(header));
  if (size != 0) std::memcpy(start + sizeof(header), data, size);
}

std::size_t MessageBatch::offset(std::size_t index) const {
  return index < offsets_.size() ? offsets_[index] : bytes_.size();
}

Bytes MessageBatch::message_bytes(std::size_t index) {
  const std::size_t length = offset(index + 1) - offset(index);
  store(bytes_.data() + offset(index) + offsetof(nlmsghdr, nlmsg_len),
        static_cast<std::uint32_t>(length));
  return {bytes_.data() + offset(index), length};
}

std::uint16_t MessageBatch::message_type(std::size_t index) const {
  return load<std::uint16_t>(bytes_.data() + offset(index) + offsetof(nlmsghdr, nlmsg_type));
}

void MessageBatch::seal(std::size_t index, std::uint32_t sequence, std::uint16_t flags) {
  message_bytes(index);
  std::byte* const header = bytes_.data() + offset(index);
  std::byte* const flags_field = header + offsetof(nlmsghdr, nlmsg_flags);
  const int kept = load<std::uint16_t>(flags_field) & ~NLM_F_ACK;
  store(flags_field, static_cast<std::uint16_t>(kept | flags));
  store(header + offsetof(nlmsghdr, nlmsg_seq), sequence);
}

void MessageBatch::clear() {
  bytes_.clear();
  offsets_.clear();
}

std::optional<std::uint16_t> Attribute::be16() const { return from_big_endian(u16()); }
std::optional<std::uint32_t> Attribute::be32() const { return from_big_endian(u32()); }
std::optional<std::uint64_t> Attribute::be64() const { return from_big_endian(u64()); }

std::string_view Attribute::string() const {
  const auto* text = reinterpret_cast<const char*>(payload.data());
  return {text, static_cast<std::size_t>(std::find(text, text + payload.size(), '\0') - text)};
}

std::optional<Address> Attribute::address() const {
  using namespace boost::asio::ip;
  if (payload.size() == 4) return address_v4(*read<address_v4::bytes_type>());
  if (payload.size() == 16) return address_v6(*read<address_v6::bytes_type>());
  return std::nullopt;
}

AttributeReader::AttributeReader(Bytes message_payload, std::size_t header_size) {
  const std::size_t start = padded(header_size);
  if (message_payload.size() >= start) rest_ = message_payload.subspan(start);
  malformed_ = message_payload.size() < header_size;
}

std::optional<Attribute> AttributeReader::next() {
  if (rest_.size() < sizeof(nlattr)) return std::nullopt;
  const auto header = load<nlattr>(rest_.data());
  if (header.nla_len < sizeof(nlattr) || header.nla_len > rest_.size()) {
    malformed_ = true;
    rest_ = {};
    return std::nullopt;
  }
  const Attribute attribute{static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
                            rest_.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr))};
  rest_ = rest_.subspan(std::min(padded(header.nla_len), rest_.size()));
  return attribute;
}

}  // namespace ipvs
