// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/exec_credential.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "config/printable.hpp"
#include "k8s/client/base64.hpp"
#include "k8s/client/url.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

// A string member; "" if it is absent or of another type.
std::string text_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains({key.data(), key.size()});
  const boost::json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string(text->data(), text->size()) : std::string();
}

// The plugin needs the user and the password, too.
std::string proxy_text(const ProxyUrl& proxy) {
  if (proxy.user_info.empty()) return proxy.url();
  const auto colon = proxy.user_info.find(':');
  return std::string(proxy.tls ? "https://" : "http://") +
         percent_encode(std::string_view(proxy.user_info).substr(0, colon)) + ":" +
         percent_encode(std::string_view(proxy.user_info).substr(colon + 1)) + "@" +
         host_and_port(proxy.host, proxy.port);
}

Problem problem(const std::string& text) { return Problem::because(text); }

}  // namespace

Problem Problem::because(const std::string& why) {
  constexpr std::size_t kMaxProblem = 2000;
  Problem problem;
  problem.text = config::printable(why, kMaxProblem);
  return problem;
}

std::string exec_info(const ExecPlugin& plugin, const ApiAccess& access,
                      std::string_view certificate_authority) {
  boost::json::object spec{{"interactive", false}};
  if (plugin.provide_cluster_info) {
    boost::json::object cluster{{"server", access.url()}};
    if (!access.tls_server_name.empty()) cluster["tls-server-name"] = access.tls_server_name;
    if (access.proxy && access.proxy_origin == "proxy-url")
      cluster["proxy-url"] = proxy_text(*access.proxy);
    if (access.insecure_skip_tls_verify) cluster["insecure-skip-tls-verify"] = true;
    if (!certificate_authority.empty()) {
      cluster["certificate-authority-data"] = base64_encode(certificate_authority);
    }
    if (!plugin.cluster_config.empty()) {
      boost::system::error_code error;
      boost::json::value config = boost::json::parse(plugin.cluster_config, error);
      if (!error) cluster["config"] = std::move(config);
    }
    spec["cluster"] = std::move(cluster);
  }
  return boost::json::serialize(boost::json::object{
      {"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", std::move(spec)}});
}

boost::system::result<ExecCredential, Problem> parse_exec_credential(std::string_view json,
                                                                     std::string_view api_version) {
  boost::system::error_code error;
  const boost::json::value document = boost::json::parse({json.data(), json.size()}, error);
  if (error || !document.is_object()) return problem("its output is not a JSON object");
  const boost::json::object& root = document.get_object();
  if (const auto kind = text_of(root, "kind"); kind != "ExecCredential") {
    return problem("its output has kind '" + kind + "', not ExecCredential");
  }
  if (const auto version = text_of(root, "apiVersion"); version != api_version) {
    return problem("its output has apiVersion '" + version + "', but the kubeconfig requires '" +
                   std::string(api_version) + "'");
  }
  const boost::json::value* status = root.if_contains("status");
  if (!status || !status->is_object()) return problem("its output has no status");
  const boost::json::object& fields = status->get_object();
  ExecCredential credential{.token = text_of(fields, "token"),
                            .client_certificate = text_of(fields, "clientCertificateData"),
                            .client_key = text_of(fields, "clientKeyData"),
                            .expires = {}};
  if (credential.client_certificate.empty() != credential.client_key.empty()) {
    return problem("its output has only one of clientCertificateData and clientKeyData");
  }
  if (credential.token.empty() && credential.client_certificate.empty()) {
    return problem("its output has neither a token nor a client certificate");
  }
  if (const auto text = text_of(fields, "expirationTimestamp"); !text.empty()) {
    const auto expires = parse_time(text);
    if (!expires) return problem("its expirationTimestamp '" + text + "' is not an RFC 3339 time");
    credential.expires = *expires;
  }
  return credential;
}

}  // namespace k8s
