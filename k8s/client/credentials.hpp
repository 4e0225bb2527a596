// SPDX-License-Identifier: Apache-2.0
//
// The current credentials of an ApiAccess: files are read again because they rotate, and a
// credential plugin runs again when its credential expires.
//
// Threading: one io_context thread. Concurrent callers share one run of the plugin.
// Errors: Problem; the next call retries.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "k8s/client/exec_credential.hpp"
#include "k8s/client/kubeconfig.hpp"

namespace k8s {

// The credentials of one connection. Certificate and key are PEM text; "" where there is none.
struct Identity {
  std::string token;
  std::string client_certificate;
  std::string client_key;
};

// The text of a secret, from its file if it has one; "" if it is empty.
boost::system::result<std::string, Problem> read_secret(const Secret& secret);

class Credentials {
 public:
  struct Options {
    std::chrono::milliseconds token_file_age{60'000};  // a token file is read again after this
    std::chrono::milliseconds plugin_deadline{60'000};
    std::chrono::seconds plugin_margin{10};  // run the plugin again this long before expiry
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    std::function<UnixSeconds()> wall_clock;  // default: the system clock
  };

  Credentials(boost::asio::any_io_executor executor, const ApiAccess& access, Options options);

  // May run the plugin, until it ends or the calling coroutine is cancelled.
  boost::asio::awaitable<boost::system::result<Identity, Problem>> identity();

  // PEM text, read from its file at each call; "" if the access names none.
  boost::system::result<std::string, Problem> certificate_authority() const;

  // Drops cached credentials: for use after a 401.
  void forget();

 private:
  boost::asio::awaitable<std::optional<Problem>> refresh_plugin();
  boost::asio::awaitable<std::optional<Problem>> run_plugin_once();
  std::optional<Problem> refresh_token_file();
  bool plugin_is_fresh() const;

  boost::asio::any_io_executor executor_;
  const ApiAccess& access_;
  Options options_;
  std::string file_token_;
  std::optional<std::chrono::steady_clock::time_point> file_token_read_;
  std::optional<ExecCredential> plugin_credential_;
  // Set while the plugin runs. Other callers wait on this timer, which the end of the run cancels.
  std::optional<boost::asio::steady_timer> plugin_running_;
};

}  // namespace k8s
