// SPDX-License-Identifier: Apache-2.0
//
// A forward proxy: CONNECT leads to any address, and a GET of a whole URL is answered by the server
// in it. With TLS of its own if it has a certificate.
//
// Threading: the test's io_context.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test/fake/certificate.hpp"

namespace fake {

class Proxy {
 public:
  explicit Proxy(boost::asio::any_io_executor executor,
                 const std::optional<Certificate>& certificate = std::nullopt);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  std::uint16_t port() const;
  // The heads of all requests.
  const std::vector<std::string>& heads() const;
  // What it answers to CONNECT; "" leads to the server.
  void answer(std::string text);
  // Connects to this port of 127.0.0.1, whatever a request names.
  void lead_to(std::uint16_t port);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace fake
