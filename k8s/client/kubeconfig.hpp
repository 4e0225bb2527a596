// SPDX-License-Identifier: Apache-2.0
//
// Address and credentials of the API server, from a kubeconfig file or from the service account
// that Kubernetes mounts into a Pod. The result is a value; credentials that it names by file are
// read when they are used (k8s/client/credentials.hpp), because they rotate.
//
// Precedence is client-go's: *-data before the file, tokenFile before token. Relative file names
// are relative to the kubeconfig. Unknown fields are ignored, as kubectl does. Unsupported fields
// that would change our identity (impersonation, ...) are refused. A server without a scheme has
// https if a certificate or insecure-skip-tls-verify is configured, else http.
//
// Errors: AccessFault, one line, naming file, line and field. Nothing here throws.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k8s/client/proxy.hpp"

namespace k8s {

// A credential or certificate: the text itself (PEM, or a token) or the file that contains it.
struct Secret {
  std::string file;
  std::string text;
  bool empty() const { return file.empty() && text.empty(); }
  bool operator==(const Secret&) const = default;
};

// users[].user.exec: a program that prints an ExecCredential (client.authentication.k8s.io).
struct ExecPlugin {
  std::string api_version;  // client.authentication.k8s.io/v1 or /v1beta1
  std::string command;      // found in PATH unless it contains a slash
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  // added to our own environment
  std::string install_hint;
  bool provide_cluster_info = false;
  // JSON: the cluster's extension client.authentication.k8s.io/exec, which is given to the plugin
  // with the cluster info; "" without one.
  std::string cluster_config = {};
  bool operator==(const ExecPlugin&) const = default;
};

struct ApiAccess {
  std::string origin;  // "/etc/kube-ipvs/kubeconfig", "service account": for messages
  bool tls = true;
  std::string host;  // a name, or an IP address without brackets
  std::uint16_t port = 443;
  std::string base_path;         // "" or "/k8s/clusters/c-1": put before every request path
  Secret certificate_authority;  // empty: the system's
  std::string tls_server_name;   // sent (SNI) and checked instead of `host`; empty: `host`
  bool insecure_skip_tls_verify = false;
  std::optional<ProxyUrl> proxy;  // that leads to the server
  std::string proxy_origin;       // "proxy-url", "HTTPS_PROXY"
  // At most one of token and exec; a client certificate may come with either.
  Secret token;
  Secret client_certificate;
  Secret client_key;
  std::optional<ExecPlugin> exec;
  // What of the kubeconfig was accepted though it is not as it should be, and what was done with it:
  // one line each, with file and line.
  std::vector<std::string> warnings = {};

  std::string url() const;
  // For messages: url(), and the proxy if there is one.
  std::string route() const;
  bool operator==(const ApiAccess&) const = default;
};

struct AccessFault {
  std::string where;   // "kubeconfig:12", "--master"
  std::string field;   // "users[0].user.exec.command", or ""
  std::string reason;  // "must not be empty"
  std::string text() const;
};

using AccessResult = boost::system::result<ApiAccess, AccessFault>;

// What Kubernetes provides in a Pod.
struct InCluster {
  std::string host;  // KUBERNETES_SERVICE_HOST
  std::string port;  // KUBERNETES_SERVICE_PORT
  std::string directory = "/var/run/secrets/kubernetes.io/serviceaccount";
  static InCluster from_environment();
};

// The access for the flags --kubeconfig and --master:
//   --kubeconfig     that file; --master replaces its server
//   neither          the service account
//   --master alone   that server, with the service account if one is mounted and the URL is
//                    https:// (for nodes where kube-ipvs itself has to program the API's own VIP)
// `proxies`: for a server without a proxy-url.
AccessResult find_api_access(const std::string& kubeconfig, const std::string& master,
                             const InCluster& in_cluster, const ProxyEnvironment& proxies = {});

// `name` is the file's name for messages; relative file names are relative to its folder.
AccessResult parse_kubeconfig(std::string_view text, const std::string& name);

}  // namespace k8s
