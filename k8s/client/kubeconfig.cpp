// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/kubeconfig.hpp"

#include <yaml-cpp/yaml.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "config/printable.hpp"
#include "config/yaml.hpp"
#include "k8s/client/base64.hpp"
#include "k8s/client/url.hpp"

namespace k8s {
namespace {

// Thrown and caught in this file only, at the first fault of a kubeconfig.
struct Refused {
  AccessFault fault;
};

// One mapping of the file, with its path and line for faults.
class Section {
 public:
  Section(const YAML::Node& node, std::string path, const std::string& file, int first_line)
      : node_(node), path_(std::move(path)), file_(file), first_line_(first_line) {
    if (!node_.IsMap()) refuse_here("must be a mapping");
  }

  bool has(const char* key) const {
    const YAML::Node value = at(key);
    return value.IsDefined() && !value.IsNull();
  }

  // "" where the key is absent or null.
  std::string text(const char* key) const {
    if (!has(key)) return {};
    const YAML::Node value = at(key);
    if (!value.IsScalar()) refuse(key, "must be a string");
    if (value.Scalar().find('\0') != std::string::npos) refuse(key, "contains a NUL character");
    return value.Scalar();
  }

  std::string required_text(const char* key) const {
    std::string value = text(key);
    if (value.empty()) refuse(key, "is missing or empty");
    return value;
  }

  bool flag(const char* key) const {
    const std::string value = text(key);
    if (value == "true") return true;
    if (!value.empty() && value != "false") refuse(key, "must be true or false");
    return false;
  }

  Section section(const char* key) const {
    if (!has(key)) refuse(key, "is missing");
    return {at(key), field(key), file_, first_line_};
  }

  // Calls `each_element` for the elements of a sequence; an absent key counts as an empty one.
  template <typename Each>
  void each(const char* key, Each each_element) const {
    if (!has(key)) return;
    const YAML::Node list = at(key);
    if (!list.IsSequence()) refuse(key, "must be a list");
    for (std::size_t i = 0; i < list.size(); ++i) {
      each_element(list[i], field(key) + "[" + std::to_string(i) + "]");
    }
  }

  // The element named `name` of the list `key`: clusters, users or contexts.
  Section named(const char* key, const std::string& name, const std::string& wanted_by) const {
    std::optional<Section> found;
    each(key, [&](const YAML::Node& node, const std::string& path) {
      const Section candidate(node, path, file_, first_line_);
      if (!found && candidate.text("name") == name) found = candidate;
    });
    if (!found) refuse(key, "has no entry named '" + name + "', which " + wanted_by + " refers to");
    return *found;
  }

  // `key`-data (inline base64) takes precedence over `key` (a file name).
  Secret secret(const char* key) const {
    const std::string data_key = std::string(key) + "-data";
    if (const std::string data = text(data_key.c_str()); !data.empty()) {
      const auto decoded = base64_decode(data);
      if (!decoded) refuse(data_key.c_str(), "is not base64");
      if (decoded->find("-----BEGIN ") == std::string::npos) {
        refuse(data_key.c_str(), "contains no PEM block (-----BEGIN ...)");
      }
      return {.file = {}, .text = *decoded};
    }
    return {.file = path_of(text(key)), .text = {}};
  }

  std::string path_of(const std::string& name) const {
    if (name.empty() || name.front() == '/') return name;
    return (std::filesystem::path(file_).parent_path() / name).lexically_normal().string();
  }

  std::string field(const std::string& key) const {
    return path_.empty() ? key : path_ + "." + key;
  }
  const std::string& path() const { return path_; }

  [[noreturn]] void refuse(const char* key, std::string reason) const {
    const YAML::Node value = at(key);
    refuse_at(value.IsDefined() ? value : node_, field(key), std::move(reason));
  }
  [[noreturn]] void refuse_here(std::string reason) const {
    refuse_at(node_, path_, std::move(reason));
  }
  [[noreturn]] void refuse_at(const YAML::Node& node, std::string field_path,
                              std::string reason) const {
    const int line = first_line_ + node.Mark().line + 1;
    throw Refused{{.where = file_ + ":" + std::to_string(line),
                   .field = std::move(field_path),
                   .reason = std::move(reason)}};
  }

  Section element(const YAML::Node& node, const std::string& path) const {
    return {node, path, file_, first_line_};
  }

 private:
  // yaml-cpp's operator[] on a non-const Node creates the key; on a const one it does not.
  YAML::Node at(const char* key) const {
    const YAML::Node& constant = node_;
    const YAML::Node value = constant[key];
    return value.IsDefined() ? value : YAML::Node(YAML::NodeType::Undefined);
  }

  YAML::Node node_;
  std::string path_;
  std::string file_;
  int first_line_;
};

// A plain scalar as kubectl types it in the cases that such a configuration has: null, booleans and
// decimal numbers; the rest is text.
boost::json::value scalar_to_json(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  const boost::json::string_view view(text.data(), text.size());
  if (node.Tag() == "!") return boost::json::value(boost::json::string(view));
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  boost::system::error_code error;
  boost::json::value number = boost::json::parse(view, error);
  if (!error && number.is_number()) return number;
  return boost::json::value(boost::json::string(view));
}

// config/yaml.hpp limits the depth.
boost::json::value to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    boost::json::object object;
    for (const auto& pair : node) object[pair.first.Scalar()] = to_json(pair.second);
    return object;
  }
  if (node.IsSequence()) {
    boost::json::array array;
    for (const auto& element : node) array.push_back(to_json(element));
    return array;
  }
  return node.IsScalar() ? scalar_to_json(node) : boost::json::value(nullptr);
}

// The configuration of the cluster for a credential plugin, as JSON.
std::string exec_extension(const Section& cluster) {
  std::string found;
  cluster.each("extensions", [&](const YAML::Node& node, const std::string& path) {
    const Section extension = cluster.element(node, path);
    if (extension.text("name") != "client.authentication.k8s.io/exec") return;
    if (extension.has("extension")) found = boost::json::serialize(to_json(node["extension"]));
  });
  return found;
}

// After the certificates have been read: they decide the scheme of a server that has none.
std::optional<std::string> set_server(ApiAccess& access, const std::string& url) {
  const bool tls_configured = !access.certificate_authority.empty() ||
                              !access.client_certificate.empty() || access.insecure_skip_tls_verify;
  ServerUrlOrFault parsed = parse_server_url(url, tls_configured);
  if (!parsed.fault.empty()) return std::move(parsed.fault);
  access.tls = parsed.url.tls;
  access.host = std::move(parsed.url.host);
  access.port = parsed.url.port;
  access.base_path = std::move(parsed.url.path);
  return std::nullopt;
}

void read_cluster(const Section& cluster, ApiAccess& access) {
  if (const std::string url = cluster.text("proxy-url"); !url.empty()) {
    ProxyOrFault parsed = parse_proxy_url(url, true);
    if (!parsed.fault.empty()) cluster.refuse("proxy-url", parsed.fault);
    access.proxy = std::move(parsed.proxy);
    access.proxy_origin = "proxy-url";
  }
  access.certificate_authority = cluster.secret("certificate-authority");
  access.tls_server_name = cluster.text("tls-server-name");
  access.insecure_skip_tls_verify = cluster.flag("insecure-skip-tls-verify");
  if (access.insecure_skip_tls_verify && !access.certificate_authority.empty()) {
    cluster.refuse("insecure-skip-tls-verify",
                   "cannot be true together with a certificate-authority: remove one of them");
  }
}

ExecPlugin read_exec(const Section& section) {
  ExecPlugin exec;
  exec.api_version = section.required_text("apiVersion");
  if (exec.api_version != "client.authentication.k8s.io/v1" &&
      exec.api_version != "client.authentication.k8s.io/v1beta1") {
    section.refuse("apiVersion",
                   "'" + exec.api_version +
                       "' is not supported: it must be client.authentication.k8s.io/v1 "
                       "or client.authentication.k8s.io/v1beta1");
  }
  exec.command = section.required_text("command");
  if (exec.command.find('/') != std::string::npos) exec.command = section.path_of(exec.command);
  section.each("args", [&](const YAML::Node& node, const std::string& path) {
    if (!node.IsScalar()) section.refuse_at(node, path, "must be a string");
    exec.args.push_back(node.Scalar());
  });
  section.each("env", [&](const YAML::Node& node, const std::string& path) {
    const Section variable = section.element(node, path);
    std::string name = variable.required_text("name");
    if (name.find('=') != std::string::npos) variable.refuse("name", "contains a '='");
    exec.env.emplace_back(std::move(name), variable.text("value"));
  });
  exec.install_hint = section.text("installHint");
  exec.provide_cluster_info = section.flag("provideClusterInfo");
  if (section.text("interactiveMode") == "Always") {
    section.refuse("interactiveMode", "is Always, but a daemon has no terminal");
  }
  return exec;
}

void read_user(const Section& user, ApiAccess& access) {
  for (const char* key : {"username", "password"}) {
    if (user.has(key)) {
      user.refuse(key,
                  "is basic authentication, which Kubernetes removed in 1.19: use a token, a "
                  "client certificate or exec");
    }
  }
  if (user.has("auth-provider")) {
    user.refuse("auth-provider", "is not supported (client-go removed it in 1.26): use exec");
  }
  for (const char* key : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (user.has(key)) user.refuse(key, "is impersonation, which is not supported");
  }
  if (user.has("exec")) access.exec = read_exec(user.section("exec"));
  if (const std::string file = user.text("tokenFile"); !file.empty()) {
    access.token.file = user.path_of(file);
  } else {
    access.token.text = user.text("token");
  }
  if (access.exec && !access.token.empty()) {
    user.refuse("exec", "cannot be combined with a token: remove one of them");
  }
  access.client_certificate = user.secret("client-certificate");
  access.client_key = user.secret("client-key");
  if (access.client_certificate.empty() != access.client_key.empty()) {
    const bool no_key = access.client_key.empty();
    user.refuse_here(no_key ? "has a client-certificate but no client-key"
                            : "has a client-key but no client-certificate");
  }
}

ApiAccess read_document(const config::YamlDocument& document, const std::string& name) {
  const Section root(document.root, "", name, document.first_line);
  for (const auto& [key, wanted] : {std::pair{"apiVersion", "v1"}, std::pair{"kind", "Config"}}) {
    const std::string value = root.text(key);
    if (!value.empty() && value != wanted) {
      root.refuse(key, "is '" + value + "', must be '" + wanted + "'");
    }
  }
  const std::string current = root.text("current-context");
  if (current.empty()) root.refuse("current-context", "is missing: it selects the context to use");
  const Section context = root.named("contexts", current, "current-context").section("context");
  ApiAccess access;
  access.origin = name;
  const std::string cluster_name = context.required_text("cluster");
  const Section cluster =
      root.named("clusters", cluster_name, context.field("cluster")).section("cluster");
  const std::string server = cluster.required_text("server");
  read_cluster(cluster, access);
  if (const std::string user = context.text("user"); !user.empty()) {
    const Section entry = root.named("users", user, context.field("user"));
    if (entry.has("user")) read_user(entry.section("user"), access);
  }
  if (access.exec) access.exec->cluster_config = exec_extension(cluster);
  if (const auto server_fault = set_server(access, server)) cluster.refuse("server", *server_fault);
  return access;
}

AccessResult read_loaded(const config::YamlFile& loaded, const std::string& name) {
  if (!loaded.faults.empty()) {
    const config::YamlFault& fault = loaded.faults.front();
    std::string where = name;
    if (fault.line > 0) where += ":" + std::to_string(fault.line);
    return AccessFault{.where = std::move(where), .field = {}, .reason = fault.what};
  }
  if (loaded.documents.empty()) {
    return AccessFault{.where = name, .field = {}, .reason = "is empty"};
  }
  try {
    AccessResult access = read_document(loaded.documents.front(), name);
    if (!access) return access;
    for (const config::YamlFault& warning : loaded.warnings) {
      access->warnings.push_back(warning.text());
    }
    return access;
  } catch (const Refused& refused) {
    return refused.fault;
  } catch (const YAML::Exception& error) {
    return AccessFault{.where = name, .field = {}, .reason = error.what()};
  }
}

AccessResult load_kubeconfig(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return AccessFault{.where = path,
                       .field = {},
                       .reason =
                           "does not exist: give --kubeconfig an existing file, or omit it "
                           "in a Pod to use the service account"};
  }
  return read_loaded(config::load_yaml_file(path), path);
}

AccessResult load_service_account(const InCluster& in_cluster) {
  ApiAccess access;
  access.origin = "service account";
  access.host = in_cluster.host;
  access.token.file = in_cluster.directory + "/token";
  access.certificate_authority.file = in_cluster.directory + "/ca.crt";
  const bool bare_v6 = in_cluster.host.find(':') != std::string::npos;
  const std::string host = bare_v6 ? "[" + in_cluster.host + "]" : in_cluster.host;
  if (auto fault = set_server(access, "https://" + host + ":" + in_cluster.port)) {
    return AccessFault{.where = "KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT",
                       .field = {},
                       .reason = "https://" + host + ":" + in_cluster.port + " " + *fault};
  }
  return access;
}

bool has_token(const InCluster& in_cluster) {
  std::error_code error;
  return std::filesystem::exists(in_cluster.directory + "/token", error);
}

AccessResult find_without_kubeconfig(const std::string& master, const InCluster& in_cluster) {
  if (!master.empty()) {
    ApiAccess access;
    access.origin = "--master";
    // The token is sent only to a server with a certificate of the cluster's own CA.
    std::string_view rest(master);
    if (has_token(in_cluster) && take_scheme(rest) == "https") {
      access.origin = "service account";
      access.token.file = in_cluster.directory + "/token";
      access.certificate_authority.file = in_cluster.directory + "/ca.crt";
    }
    return access;
  }
  if (in_cluster.host.empty() || in_cluster.port.empty()) {
    return AccessFault{.where = "no API server is configured",
                       .field = {},
                       .reason =
                           "this is not a Pod (KUBERNETES_SERVICE_HOST is not set): give "
                           "--kubeconfig FILE, --master URL, or --manifests DIR"};
  }
  if (!has_token(in_cluster)) {
    return AccessFault{.where = in_cluster.directory + "/token",
                       .field = {},
                       .reason =
                           "does not exist: mount the service account "
                           "(automountServiceAccountToken: true) or give --kubeconfig FILE"};
  }
  return load_service_account(in_cluster);
}

std::optional<AccessFault> choose_proxy(ApiAccess& access, const ProxyEnvironment& proxies) {
  const std::string& text = access.tls ? proxies.https_proxy : proxies.http_proxy;
  if (access.proxy || text.empty()) return std::nullopt;
  if (is_excluded(proxies.no_proxy, access.host, access.port)) return std::nullopt;
  const char* variable = access.tls ? "HTTPS_PROXY" : "HTTP_PROXY";
  ProxyOrFault parsed = parse_proxy_url(text, false);
  if (!parsed.fault.empty()) {
    return AccessFault{.where = std::string("the environment variable ") + variable,
                       .field = {},
                       .reason = parsed.fault + ", or name the API server in NO_PROXY"};
  }
  access.proxy = std::move(parsed.proxy);
  access.proxy_origin = variable;
  return std::nullopt;
}

}  // namespace

std::string ApiAccess::url() const {
  return (tls ? "https://" : "http://") + host_and_port(host, port) + base_path;
}

std::string ApiAccess::route() const {
  if (!proxy) return url();
  return url() + " by the proxy " + proxy->url() + " (from " + proxy_origin + ")";
}

std::string AccessFault::text() const {
  constexpr std::size_t kMaxFault = 2000;
  return config::printable(where + ": " + (field.empty() ? "" : field + " ") + reason, kMaxFault);
}

InCluster InCluster::from_environment() {
  InCluster in_cluster;
  if (const char* host = std::getenv("KUBERNETES_SERVICE_HOST")) in_cluster.host = host;
  if (const char* port = std::getenv("KUBERNETES_SERVICE_PORT")) in_cluster.port = port;
  return in_cluster;
}

AccessResult find_api_access(const std::string& kubeconfig, const std::string& master,
                             const InCluster& in_cluster, const ProxyEnvironment& proxies) {
  AccessResult access = kubeconfig.empty() ? find_without_kubeconfig(master, in_cluster)
                                           : load_kubeconfig(kubeconfig);
  if (!access) return access;
  if (!master.empty()) {
    if (const auto fault = set_server(*access, master)) {
      return AccessFault{.where = "--master", .field = {}, .reason = "'" + master + "' " + *fault};
    }
  }
  if (auto fault = choose_proxy(*access, proxies)) return std::move(*fault);
  return access;
}

AccessResult parse_kubeconfig(std::string_view text, const std::string& name) {
  return read_loaded(config::load_yaml_text(text, name), name);
}

}  // namespace k8s
