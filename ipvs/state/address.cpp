// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/address.hpp"

#include <ostream>

namespace ipvs {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

Address::operator boost::asio::ip::address() const {
  if (is_v6_) return address_v6(bytes_);
  return address_v4({bytes_[0], bytes_[1], bytes_[2], bytes_[3]});
}

std::string Address::to_string() const { return boost::asio::ip::address(*this).to_string(); }

bool Address::is_loopback() const { return boost::asio::ip::address(*this).is_loopback(); }

bool Address::is_link_local() const {
  if (is_v6_) return address_v6(bytes_).is_link_local();
  return bytes_[0] == 169 && bytes_[1] == 254;
}

std::ostream& operator<<(std::ostream& to, const Address& address) {
  return to << address.to_string();
}

}  // namespace ipvs
