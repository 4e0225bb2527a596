// SPDX-License-Identifier: Apache-2.0
//
// Asks kube-proxy's metrics port for its mode, as `curl 127.0.0.1:10249/proxyMode` does. Who else
// may listen there answers something else, or nothing.
//
// Threading: the executor's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent {

// "ipvs", "iptables" or "nftables"; "": no such answer within a second.
boost::asio::awaitable<std::string> ask_proxy_mode(boost::asio::any_io_executor executor,
                                                   std::uint16_t port);
// From a whole response. Pure.
std::string proxy_mode_in(std::string_view response);

}  // namespace agent
