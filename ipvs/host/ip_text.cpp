// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/ip_text.hpp"

#include "ipvs/host/route_codec.hpp"
#include "ipvs/state/binding.hpp"

namespace ipvs {
namespace {

constexpr const char* kOnDevice = " dev kube-ipvs0";

// encode_address() of ipvs/host/route_codec.cpp says why.
std::string address_line(const Address& address) {
  const std::string text = "address add " + address.to_string();
  if (address.is_v4()) return text + "/32" + kOnDevice + " scope host\n";
  return text + "/128" + kOnDevice + " preferred_lft 0 nodad noprefixroute\n";
}

std::string route_line(const Address& address, const VipSources& sources) {
  const std::optional<Address>& source = address.is_v4() ? sources.v4 : sources.v6;
  return "route add local " + address.to_string() + kOnDevice + " table local proto " +
         std::to_string(kRouteProtocol) + " scope host" +
         (source ? " src " + source->to_string() : std::string()) + "\n";
}

}  // namespace

std::string ip_text(const std::set<Address>& addresses, VipBinding binding,
                    const VipSources& sources) {
  if (binding == VipBinding::kAuto)
    binding = chosen_binding(addresses.size(), VipBinding::kAddress);
  std::string text = "link add kube-ipvs0 type dummy\n";
  if (binding == VipBinding::kRoute) {
    text += "link set dev kube-ipvs0 addrgenmode none\nlink set dev kube-ipvs0 arp off up\n";
  } else {
    text += "link set dev kube-ipvs0 arp off\n";
  }
  for (const Address& each : addresses) {
    text += binding == VipBinding::kRoute ? route_line(each, sources) : address_line(each);
  }
  return text;
}

}  // namespace ipvs
