// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/dial.hpp"

#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <memory>
#include <sstream>
#include <string_view>

#include "k8s/async/cancellation.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

std::string name_of(const tcp::endpoint& endpoint) {
  std::ostringstream out;
  out << endpoint;
  return out.str();
}

// HTTP/1.1 has no ping, so TCP has to detect a peer that vanished: after 15 + 3 * 10 s while the
// connection is idle, after 45 s while our data is unacknowledged. Errors are ignored, because
// without an option detection only takes longer.
void set_options(TcpStream& stream) {
  constexpr int kOn = 1;
  const int socket = stream.socket().native_handle();
  const auto set = [socket](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, kOn);
  set(SOL_SOCKET, SO_KEEPALIVE, kOn);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 45'000);
}

DialError dial_error(const error_code& code, std::string what) {
  return {.code = code, .what = std::move(what)};
}

// In place of OpenSSL's default, which asks on the terminal: there is never a passphrase.
extern "C" int no_passphrase(char*, int, int, void*) { return -1; }

// PKCS #8 (RFC 7468), or the older form with a header (RFC 1421).
bool is_encrypted(std::string_view pem) {
  return pem.find("-----BEGIN ENCRYPTED ") != std::string_view::npos ||
         pem.find("\nProc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

DialError bad_material(const char* what, std::string_view pem, const error_code& error) {
  if (is_encrypted(pem)) {
    return dial_error(error, std::string(what) +
                                 ": is encrypted with a passphrase, which nobody can enter here: "
                                 "store it without one (openssl pkey -in FILE -out FILE)");
  }
  return dial_error(error, std::string(what) + ": " + error.message());
}

// Asio's own function would read an encrypted block with OpenSSL's default: a prompt.
error_code add_authorities(SSL_CTX* context, const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> bio(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), ::BIO_free);
  X509_STORE* store = ::SSL_CTX_get_cert_store(context);
  const auto last_error = [] {
    return error_code(static_cast<int>(::ERR_get_error()), asio::error::get_ssl_category());
  };
  ::ERR_clear_error();
  for (bool found = false;; found = true) {
    const std::unique_ptr<X509, decltype(&::X509_free)> certificate(
        ::PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr), ::X509_free);
    if (!certificate) {
      const unsigned long error = ::ERR_peek_last_error();
      const bool at_end =
          ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
      if (!found || !at_end) return last_error();
      ::ERR_clear_error();
      return {};
    }
    if (::X509_STORE_add_cert(store, certificate.get()) != 1) return last_error();
  }
}

struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
  tcp::resolver resolver;
  asio::steady_timer done;
  bool answered = false;
  error_code error;
  Endpoints endpoints;
};

// getaddrinfo cannot be interrupted. The handler has only a weak pointer to the lookup, so a caller
// that times out or is cancelled can return, and a late result is ignored.
void start_lookup(const std::shared_ptr<Lookup>& lookup, const std::string& host,
                  std::uint16_t port) {
  lookup->resolver.async_resolve(
      host, std::to_string(port), tcp::resolver::numeric_service,
      [weak = std::weak_ptr(lookup)](error_code error, const tcp::resolver::results_type& results) {
        const auto self = weak.lock();
        if (!self) return;
        self->answered = true;
        self->error = error;
        for (const auto& result : results) self->endpoints.push_back(result.endpoint());
        self->done.cancel();
      });
}

bool is_address(const std::string& host) {
  error_code error;
  asio::ip::make_address(host, error);
  return !error;
}

// Asio's check of the certificate's names. Records whether this check failed, because OpenSSL's
// verification result does not show it.
struct NameCheck {
  asio::ssl::host_name_verification names;
  std::shared_ptr<bool> refused;
  bool operator()(bool good_so_far, asio::ssl::verify_context& context) const {
    const bool good = names(good_so_far, context);
    if (good_so_far && !good) *refused = true;
    return good;
  }
};

std::string verification_failure(SSL* stream, const std::string& name, bool wrong_name,
                                 const error_code& error) {
  if (wrong_name) return "its certificate is not for " + name;
  const long verdict = ::SSL_get_verify_result(stream);
  if (verdict == X509_V_OK) return error.message();
  return std::string("its certificate is not trusted: ") + ::X509_verify_cert_error_string(verdict);
}

}  // namespace

DialResult<std::shared_ptr<TlsContext>> make_tls_context(const TlsMaterial& material) {
  error_code error;
  auto context = std::make_shared<TlsContext>(TlsContext::tls_client);
  SSL_CTX* native = context->native_handle();
  ::SSL_CTX_set_default_passwd_cb(native, no_passphrase);
  ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  ::SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  // Watches are mostly idle: free their record buffers (32 KiB each) meanwhile.
  ::SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  // Trust an intermediate authority in the bundle like a root, as client-go does.
  ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(native), X509_V_FLAG_PARTIAL_CHAIN);
  if (material.certificate_authority.empty() || material.system_too) {
    context->set_default_verify_paths(error);
    if (error) return bad_material("the system's certificate authorities", {}, error);
  }
  if (!material.certificate_authority.empty()) {
    error = add_authorities(native, material.certificate_authority);
    if (error) return bad_material("certificate-authority", material.certificate_authority, error);
  }
  if (!material.client_certificate.empty()) {
    context->use_certificate_chain(asio::buffer(material.client_certificate), error);
    if (error) return bad_material("client-certificate", material.client_certificate, error);
    context->use_private_key(asio::buffer(material.client_key), TlsContext::pem, error);
    if (error) return bad_material("client-key", material.client_key, error);
  }
  return context;
}

asio::awaitable<DialResult<Endpoints>> resolve_host(asio::any_io_executor executor,
                                                    std::string host, std::uint16_t port,
                                                    std::chrono::milliseconds deadline) {
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) co_return Endpoints(1, tcp::endpoint(address, port));
  const auto lookup = std::make_shared<Lookup>(executor);
  lookup->done.expires_after(deadline);
  start_lookup(lookup, host, port);
  co_await lookup->done.async_wait(kAwait);
  if (!lookup->answered) {
    co_return dial_error(asio::error::timed_out, "resolve " + host + ": no answer in time");
  }
  if (lookup->error || lookup->endpoints.empty()) {
    co_return dial_error(lookup->error, "resolve " + host + ": " + lookup->error.message());
  }
  co_return std::move(lookup->endpoints);
}

asio::awaitable<DialResult<std::shared_ptr<TcpStream>>> connect_tcp(
    asio::any_io_executor executor, tcp::endpoint endpoint, std::chrono::milliseconds deadline) {
  auto stream = std::make_shared<TcpStream>(executor);
  stream->expires_after(deadline);
  const auto [error] =
      co_await stream->async_connect(endpoint, closes_when_cancelled(stream, kAwait));
  if (!error) {
    set_options(*stream);
    co_return std::move(stream);
  }
  const std::string why =
      error == boost::beast::error::timeout ? "no answer in time" : error.message();
  co_return dial_error(error, "connect to " + name_of(endpoint) + ": " + why);
}

namespace {

template <typename Stream>
asio::awaitable<std::optional<DialError>> shake(Stream& stream, std::shared_ptr<TcpStream> lowest,
                                                TlsPeer peer, std::chrono::milliseconds deadline) {
  const auto wrong_name = std::make_shared<bool>(false);
  if (peer.check) {
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(NameCheck{asio::ssl::host_name_verification(peer.name), wrong_name});
  } else {
    stream.set_verify_mode(asio::ssl::verify_none);
  }
  // RFC 6066: an IP address is not allowed as server name indication.
  if (!is_address(peer.name)) {
    ::SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               peer.name.data());
  }
  lowest->expires_after(deadline);
  const auto [error] = co_await stream.async_handshake(asio::ssl::stream_base::client,
                                                       closes_when_cancelled(lowest, kAwait));
  if (!error) co_return std::nullopt;
  const std::string why =
      error == boost::beast::error::timeout
          ? "no answer in time"
          : verification_failure(stream.native_handle(), peer.name, *wrong_name, error);
  co_return dial_error(error, "TLS with " + peer.host + ": " + why);
}

}  // namespace

asio::awaitable<std::optional<DialError>> shake_hands(TlsStream& stream,
                                                      std::shared_ptr<TcpStream> lowest,
                                                      TlsPeer peer,
                                                      std::chrono::milliseconds deadline) {
  return shake(stream, std::move(lowest), std::move(peer), deadline);
}

asio::awaitable<std::optional<DialError>> shake_hands(NestedTlsStream& stream,
                                                      std::shared_ptr<TcpStream> lowest,
                                                      TlsPeer peer,
                                                      std::chrono::milliseconds deadline) {
  return shake(stream, std::move(lowest), std::move(peer), deadline);
}

}  // namespace k8s
