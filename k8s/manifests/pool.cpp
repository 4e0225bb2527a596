// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/pool.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace k8s {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

// An IPv4 address is in the last four bytes.
Bytes bytes_of(const Address& address) {
  Bytes bytes{};
  if (address.is_v4()) {
    const auto four = address.to_v4().to_bytes();
    std::copy(four.begin(), four.end(), bytes.begin() + 12);
  } else {
    const auto sixteen = address.to_v6().to_bytes();
    std::copy(sixteen.begin(), sixteen.end(), bytes.begin());
  }
  return bytes;
}

unsigned host_bits(const Cidr& range) {
  const unsigned width = range.address.is_v4() ? 32 : 128;
  return width - std::min<unsigned>(range.prefix_length, width);
}

// Whether the last `bits` bits of the address are all 0, or all 1.
bool host_is(const Address& address, unsigned bits, bool ones) {
  const Bytes bytes = bytes_of(address);
  for (unsigned bit = 0; bit < bits; ++bit) {
    const bool set = ((bytes[15 - bit / 8] >> (bit % 8)) & 1) != 0;
    if (set != ones) return false;
  }
  return true;
}

// The part of a range that KEP-3070 and KEP-3668 leave to explicit numbers.
std::uint64_t reserved_part(std::uint64_t size, std::uint64_t step, std::uint64_t most) {
  constexpr std::uint64_t kLeast = 16;
  return size <= kLeast ? 0 : std::clamp(size / step, kLeast, most);
}

constexpr std::uint8_t bit_of(Protocol protocol) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(protocol));
}

}  // namespace

std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  // The finaliser of MurmurHash3: FNV-1a alone gives close hashes to "web-1" and "web-2".
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53u;
  return hash ^ (hash >> 33);
}

bool contains(const Cidr& range, const Address& address) {
  if (range.address.is_v4() != address.is_v4()) return false;
  const Bytes network = bytes_of(range.address);
  const Bytes bytes = bytes_of(address);
  const unsigned bits = host_bits(range);
  for (unsigned bit = bits; bit < (address.is_v4() ? 32u : 128u); ++bit) {
    const unsigned differing = network[15 - bit / 8] ^ bytes[15 - bit / 8];
    if (((differing >> (bit % 8)) & 1) != 0) return false;
  }
  return true;
}

AddressPool::AddressPool(const Cidr& range) : range_(range) {
  const unsigned bits = host_bits(range);
  const std::uint64_t size = std::uint64_t{1} << std::min(bits, 63u);
  const std::uint64_t unusable = range.address.is_v4() ? 2 : 1;
  count_ = size > unusable ? size - unusable : 0;
  reserved_ = reserved_part(count_, 16, 256);
}

bool AddressPool::usable(const Address& address) const {
  if (!contains(range_, address)) return false;
  const unsigned bits = host_bits(range_);
  if (host_is(address, bits, false)) return false;
  return !address.is_v4() || !host_is(address, bits, true);
}

Address AddressPool::at(std::uint64_t offset) const {
  Bytes bytes = bytes_of(range_.address);
  // The host bits of range_.address are 0, so a bitwise or adds the offset.
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[15 - i] = static_cast<std::uint8_t>(bytes[15 - i] | (offset >> (8 * i) & 0xff));
  }
  if (!range_.address.is_v4()) return boost::asio::ip::address_v6(bytes);
  return boost::asio::ip::address_v4({bytes[12], bytes[13], bytes[14], bytes[15]});
}

std::optional<Address> AddressPool::probe(std::uint64_t first, std::uint64_t count,
                                          std::uint64_t hash) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const Address address = at(first + (hash % count + i) % count);
    if (taken_.insert(address).second) return address;
  }
  return std::nullopt;
}

std::optional<Address> AddressPool::take_by_hash(std::uint64_t hash) {
  if (auto address = probe(first_ + reserved_, count_ - reserved_, hash)) return address;
  return probe(first_, reserved_, hash);
}

PortPool::PortPool(std::uint16_t first, std::uint16_t last)
    : first_(first), last_(std::max(first, last)), taken_(std::size_t{last_} - first_ + 1) {
  reserved_ = static_cast<std::uint32_t>(reserved_part(taken_.size(), 32, 128));
}

bool PortPool::is_free(std::uint16_t port, Protocol protocol) const {
  return in_range(port) && (taken_[std::size_t{port} - first_] & bit_of(protocol)) == 0;
}

void PortPool::take(std::uint16_t port, Protocol protocol) {
  if (in_range(port)) taken_[std::size_t{port} - first_] |= bit_of(protocol);
}

std::optional<std::uint16_t> PortPool::probe(std::uint32_t begin, std::uint32_t count,
                                             std::uint64_t hash, Protocol protocol) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto index = begin + static_cast<std::uint32_t>((hash % count + i) % count);
    if (taken_[index] != 0) continue;
    taken_[index] = bit_of(protocol);
    return static_cast<std::uint16_t>(first_ + index);
  }
  return std::nullopt;
}

std::optional<std::uint16_t> PortPool::take_by_hash(std::uint64_t hash, Protocol protocol) {
  const auto size = static_cast<std::uint32_t>(taken_.size());
  if (auto port = probe(reserved_, size - reserved_, hash, protocol)) return port;
  return probe(0, reserved_, hash, protocol);
}

}  // namespace k8s
