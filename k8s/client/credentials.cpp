// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/credentials.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/read_file.hpp"
#include "k8s/async/cancellation.hpp"
#include "k8s/client/process.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;
using boost::system::result;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxFile = 1 << 20;

result<std::string, Problem> read_file(const std::string& path) {
  config::FileText read = config::read_file(path, kMaxFile);
  if (!read.fault.empty()) return Problem::because(path + ": " + read.fault);
  return std::move(read.text);
}

// A token becomes part of a header line, where a line break would inject further headers.
result<std::string, Problem> clean_token(std::string text, const std::string& origin) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  while (!text.empty() && is_space(text.front())) text.erase(0, 1);
  if (text.empty()) return Problem::because(origin + ": the token is empty");
  for (const char c : text) {
    if (c <= ' ' || c > '~')
      return Problem::because(origin + ": the token has a space or control character");
  }
  return text;
}

UnixSeconds system_seconds() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(since).count();
}

}  // namespace

result<std::string, Problem> read_secret(const Secret& secret) {
  if (secret.file.empty()) return secret.text;
  return read_file(secret.file);
}

Credentials::Credentials(asio::any_io_executor executor, const ApiAccess& access, Options options)
    : executor_(std::move(executor)), access_(access), options_(std::move(options)) {
  if (!options_.wall_clock) options_.wall_clock = system_seconds;
}

asio::awaitable<result<Identity, Problem>> Credentials::identity() {
  Identity identity;
  if (access_.exec) {
    if (const auto problem = co_await refresh_plugin()) co_return *problem;
    identity.token = plugin_credential_->token;
    identity.client_certificate = plugin_credential_->client_certificate;
    identity.client_key = plugin_credential_->client_key;
  } else if (!access_.token.file.empty()) {
    if (const auto problem = refresh_token_file()) co_return *problem;
    identity.token = file_token_;
  } else if (!access_.token.text.empty()) {
    auto token = clean_token(access_.token.text, access_.origin);
    if (!token) co_return token.error();
    identity.token = std::move(*token);
  }
  if (identity.client_certificate.empty() && !access_.client_certificate.empty()) {
    auto certificate = read_secret(access_.client_certificate);
    if (!certificate) co_return certificate.error();
    auto key = read_secret(access_.client_key);
    if (!key) co_return key.error();
    identity.client_certificate = std::move(*certificate);
    identity.client_key = std::move(*key);
  }
  co_return identity;
}

result<std::string, Problem> Credentials::certificate_authority() const {
  return read_secret(access_.certificate_authority);
}

void Credentials::forget() {
  file_token_read_.reset();
  plugin_credential_.reset();
}

std::optional<Problem> Credentials::refresh_token_file() {
  const auto now = options_.now();
  if (file_token_read_ && now - *file_token_read_ < options_.token_file_age) return std::nullopt;
  auto text = read_file(access_.token.file);
  if (!text) return text.error();
  auto token = clean_token(std::move(*text), access_.token.file);
  if (!token) return token.error();
  file_token_ = std::move(*token);
  file_token_read_ = now;
  return std::nullopt;
}

bool Credentials::plugin_is_fresh() const {
  if (!plugin_credential_) return false;
  if (!plugin_credential_->expires) return true;
  return options_.wall_clock() + options_.plugin_margin.count() < *plugin_credential_->expires;
}

asio::awaitable<std::optional<Problem>> Credentials::refresh_plugin() {
  while (!plugin_is_fresh()) {
    if (!plugin_running_) co_return co_await run_plugin_once();
    // The timer never fires: the end of the run, or our own cancellation, cancels it.
    co_await plugin_running_->async_wait(kAwait);
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return Problem::because("cancelled");
  }
  co_return std::nullopt;
}

asio::awaitable<std::optional<Problem>> Credentials::run_plugin_once() {
  // Wakes the waiters by destroying the timer, however this coroutine ends.
  struct Running {
    std::optional<asio::steady_timer>& timer;
    ~Running() { timer.reset(); }
  };
  plugin_running_.emplace(executor_, asio::steady_timer::time_point::max());
  const Running running{plugin_running_};

  const ExecPlugin& plugin = *access_.exec;
  const std::string name = "credential plugin " + plugin.command;
  std::string authority;
  if (plugin.provide_cluster_info) {
    auto text = certificate_authority();
    if (!text) co_return text.error();
    authority = std::move(*text);
  }
  Command command{.program = plugin.command, .args = plugin.args, .env = plugin.env};
  command.env.emplace_back("KUBERNETES_EXEC_INFO", exec_info(plugin, access_, authority));
  auto output = co_await run_command(executor_, command, options_.plugin_deadline);
  if (!output) {
    std::string hint = plugin.install_hint.empty() ? "" : " (" + plugin.install_hint + ")";
    co_return Problem::because(name + " " + output.error().text + hint);
  }
  auto credential = parse_exec_credential(*output, plugin.api_version);
  if (!credential) co_return Problem::because(name + ": " + credential.error().text);
  if (!credential->token.empty()) {
    auto token = clean_token(std::move(credential->token), name);
    if (!token) co_return token.error();
    credential->token = std::move(*token);
  }
  plugin_credential_ = std::move(*credential);
  co_return std::nullopt;
}

}  // namespace k8s
