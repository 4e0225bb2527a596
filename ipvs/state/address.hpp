// SPDX-License-Identifier: Apache-2.0
//
// An IPv4 or IPv6 address as IPVS and nftables have it: bytes in network order, no scope. Most of
// what we hold in memory is addresses, tens of thousands of them, so one takes 17 bytes;
// boost::asio::ip::address takes 32, as it has both families and a scope. That class is used to
// read and write text and for sockets.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/container_hash/hash.hpp>
#include <boost/endian/conversion.hpp>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>

namespace ipvs {

class Address {
 public:
  // 0.0.0.0
  Address() = default;
  Address(const boost::asio::ip::address_v4& four) { take(four.to_bytes()); }
  // The scope is dropped: neither IPVS nor nftables has one.
  Address(const boost::asio::ip::address_v6& six) : is_v6_(true) { take(six.to_bytes()); }
  Address(const boost::asio::ip::address& address) {
    *this = address.is_v6() ? Address(address.to_v6()) : Address(address.to_v4());
  }

  bool is_v4() const { return !is_v6_; }
  bool is_v6() const { return is_v6_; }
  // 4 or 16 bytes in network order; good as long as the address is.
  std::span<const std::uint8_t> bytes() const { return std::span(bytes_).first(is_v6_ ? 16 : 4); }

  explicit operator boost::asio::ip::address() const;
  std::string to_string() const;  // "10.96.0.1", "fd00::1" (RFC 5952)
  bool is_unspecified() const { return bytes_ == decltype(bytes_){}; }
  bool is_loopback() const;    // 127.0.0.0/8, ::1
  bool is_link_local() const;  // 169.254.0.0/16, fe80::/10
  // 224.0.0.0/4, ff00::/8
  bool is_multicast() const { return is_v6_ ? bytes_[0] == 0xff : bytes_[0] >> 4 == 0xe; }

  bool operator==(const Address& other) const { return (*this <=> other) == 0; }
  // IPv4 before IPv6, then by number. By words, because most of what planning does is comparing
  // addresses.
  std::strong_ordering operator<=>(const Address& other) const {
    if (is_v6_ != other.is_v6_) return is_v6_ <=> other.is_v6_;
    if (const auto upper = word(0) <=> other.word(0); upper != 0) return upper;
    return word(8) <=> other.word(8);
  }
  // Well mixed: what adds a port to it stays apart from a neighbour with the next port.
  friend std::size_t hash_value(const Address& address) noexcept {
    std::array<std::uint64_t, 2> halves;
    std::memcpy(halves.data(), address.bytes_.data(), sizeof(halves));
    std::size_t seed = 0;
    boost::hash_combine(seed, halves[0]);
    boost::hash_combine(seed, halves[1]);
    return seed;
  }

 private:
  std::uint64_t word(std::size_t at) const { return boost::endian::load_big_u64(&bytes_[at]); }
  template <std::size_t Size>
  void take(const std::array<std::uint8_t, Size>& bytes) {
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }

  bool is_v6_ = false;
  std::array<std::uint8_t, 16> bytes_{};  // of IPv4 the first four, the others are 0
};
static_assert(sizeof(Address) == 17);

std::ostream& operator<<(std::ostream& to, const Address& address);

}  // namespace ipvs

// noexcept: libstdc++ caches the hash in every node of a table if hashing may throw.
template <>
struct std::hash<ipvs::Address> {
  std::size_t operator()(const ipvs::Address& address) const noexcept {
    return hash_value(address);
  }
};
