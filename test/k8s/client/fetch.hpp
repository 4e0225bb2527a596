// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the API client have in common: calls that run to their end together with the
// server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "k8s/client/api_client.hpp"
#include "test/fake/temporary_folder.hpp"

namespace k8s::test {

// Runs one coroutine to its end, together with the server.
template <typename T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> work) {
  std::optional<T> result;
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr error, T value) {
    thrown = error;
    result = std::move(value);
  });
  io.restart();
  while (!result) io.run_one();
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*result);
}

struct Fetched {
  k8s::Response response;
  std::string body;
  std::size_t pieces = 0;
};

inline Fetched fetch(boost::asio::io_context& io, k8s::ApiConnection& connection,
                     k8s::GetRequest request) {
  Fetched fetched;
  fetched.response = run(io, connection.get(std::move(request), [&](std::string_view piece) {
    fetched.body += piece;
    ++fetched.pieces;
    return true;
  }));
  return fetched;
}

inline Fetched fetch(boost::asio::io_context& io, k8s::ApiClient& client, k8s::GetRequest request) {
  return fetch(io, *client.connection(), std::move(request));
}

inline std::string script(const fake::TemporaryFolder& folder, const std::string& body) {
  const std::string path = folder.write("plugin", "#!/bin/sh\n" + body);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

}  // namespace k8s::test
