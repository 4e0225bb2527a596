// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/kubeconfig.hpp"

#include <catch2/catch_test_macros.hpp>

#include "k8s/client/exec_credential.hpp"
#include "test/fake/temporary_folder.hpp"

namespace {

using k8s::AccessResult;
using k8s::ApiAccess;
using k8s::InCluster;

constexpr const char* kName = "/etc/kube/config";

// base64 of "-----BEGIN X-----\n".
constexpr const char* kPem = "LS0tLS1CRUdJTiBYLS0tLS0K";

std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\n"
         "kind: Config\n"
         "current-context: c\n"
         "contexts:\n"
         "- name: c\n"
         "  context: {cluster: k, user: u, namespace: ignored}\n"
         "preferences: {}\n"
         "clusters:\n"
         "- name: k\n"
         "  cluster:\n" +
         cluster +
         "users:\n"
         "- name: u\n"
         "  user:\n" +
         user;
}

constexpr const char* kCluster = "    server: https://10.0.0.1:6443\n";
constexpr const char* kUser = "    token: abc\n";

ApiAccess good(const std::string& cluster, const std::string& user) {
  const AccessResult access = k8s::parse_kubeconfig(kubeconfig(cluster, user), kName);
  if (!access) FAIL(access.error().text());
  return *access;
}

std::string fault(const std::string& text) {
  const AccessResult access = k8s::parse_kubeconfig(text, kName);
  REQUIRE_FALSE(access.has_value());
  return access.error().text();
}

}  // namespace

TEST_CASE("the current context selects cluster and user", "[kubeconfig]") {
  const ApiAccess access = good(kCluster, kUser);
  CHECK(access.tls);
  CHECK(access.host == "10.0.0.1");
  CHECK(access.port == 6443);
  CHECK(access.base_path.empty());
  CHECK(access.token.text == "abc");
  CHECK(access.url() == "https://10.0.0.1:6443");
}

TEST_CASE("a server URL has a port, a path, an IPv6 address or plain http", "[kubeconfig]") {
  CHECK(good("    server: https://[fd00::1]/k8s/clusters/c-1/\n", kUser).url() ==
        "https://[fd00::1]:443/k8s/clusters/c-1");
  CHECK(good("    server: http://localhost:8080\n", kUser).url() == "http://localhost:8080");
  CHECK_FALSE(good("    server: http://localhost:8080\n", kUser).tls);
}

TEST_CASE("equal keys and a second document of a kubeconfig are reported with their lines (G)",
          "[kubeconfig]") {
  const std::string text =
      "clusters: [{name: c, cluster: {server: 'https://192.0.2.1'}}]\n"
      "contexts: [{name: x, context: {cluster: c}}]\n"
      "current-context: y\n"
      "current-context: x\n";
  const auto access = k8s::parse_kubeconfig(text, "kubeconfig");
  REQUIRE(access.has_value());
  CHECK(access->host == "192.0.2.1");
  REQUIRE(access->warnings.size() == 1);
  CHECK(access->warnings[0].starts_with("kubeconfig:4:"));
  const auto two = k8s::parse_kubeconfig(text + "---\nkind: Config\n", "kubeconfig");
  REQUIRE(two.has_value());
  CHECK(two->warnings.size() == 2);
}

TEST_CASE("file names are relative to the kubeconfig, and inline data takes precedence",
          "[kubeconfig]") {
  const ApiAccess files =
      good(std::string(kCluster) + "    certificate-authority: ca.crt\n",
           "    client-certificate: ../pki/node.crt\n    client-key: /abs/node.key\n"
           "    tokenFile: token\n    token: ignored\n");
  CHECK(files.certificate_authority.file == "/etc/kube/ca.crt");
  CHECK(files.client_certificate.file == "/etc/pki/node.crt");
  CHECK(files.client_key.file == "/abs/node.key");
  CHECK(files.token == k8s::Secret{.file = "/etc/kube/token", .text = {}});

  const ApiAccess data = good(std::string(kCluster) + "    certificate-authority: ca.crt\n" +
                                  "    certificate-authority-data: " + kPem + "\n",
                              kUser);
  CHECK(data.certificate_authority == k8s::Secret{.file = {}, .text = "-----BEGIN X-----\n"});
}

TEST_CASE("an exec plugin is read with its arguments and environment", "[kubeconfig]") {
  const ApiAccess access = good(kCluster,
                                "    exec:\n"
                                "      apiVersion: client.authentication.k8s.io/v1\n"
                                "      command: ./bin/login\n"
                                "      args: [get-token, --cluster, 'one']\n"
                                "      env:\n"
                                "      - {name: PROFILE, value: prod}\n"
                                "      installHint: see the manual\n"
                                "      interactiveMode: IfAvailable\n"
                                "      provideClusterInfo: true\n");
  REQUIRE(access.exec);
  CHECK(access.exec->command == "/etc/kube/bin/login");
  CHECK(access.exec->args == std::vector<std::string>{"get-token", "--cluster", "one"});
  CHECK(access.exec->env.at(0) == std::pair<std::string, std::string>("PROFILE", "prod"));
  CHECK(access.exec->provide_cluster_info);
  CHECK(k8s::exec_info(*access.exec, access, "x") ==
        R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":)"
        R"({"interactive":false,"cluster":{"server":"https://10.0.0.1:6443",)"
        R"("certificate-authority-data":"eA=="}}})");
}

TEST_CASE("a plugin gets the cluster's proxy and its own configuration of the cluster (H)",
          "[kubeconfig]") {
  const std::string exec =
      "    exec:\n"
      "      apiVersion: client.authentication.k8s.io/v1\n"
      "      command: login\n";
  const std::string cluster =
      std::string(kCluster) +
      "    proxy-url: http://u:p@proxy:3128\n"
      "    tls-server-name: api.example\n"
      "    extensions:\n"
      "    - {name: other, extension: {a: b}}\n"
      "    - name: client.authentication.k8s.io/exec\n"
      "      extension: {audience: x, 'n': [1, 2.5, '3', true, null, 010]}\n";
  const ApiAccess access = good(cluster, exec + "      provideClusterInfo: true\n");
  CHECK(k8s::exec_info(*access.exec, access, "") ==
        R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":)"
        R"({"interactive":false,"cluster":{"server":"https://10.0.0.1:6443",)"
        R"("tls-server-name":"api.example","proxy-url":"http://u:p@proxy:3128",)"
        R"("config":{"audience":"x","n":[1,2.5E0,"3",true,null,"010"]}}}})");
  // Without provideClusterInfo the plugin gets nothing of the cluster.
  const ApiAccess without = good(cluster, exec);
  CHECK(k8s::exec_info(*without.exec, without, "").find("cluster") == std::string::npos);
}

TEST_CASE("a fault names file, line and field", "[kubeconfig]") {
  CHECK(fault("") == "/etc/kube/config: is empty");
  CHECK(fault("current-context: x\n")
            .starts_with("/etc/kube/config:1: contexts has no entry named 'x', which "
                         "current-context refers to"));
  CHECK(fault("kind: Pod\n") == "/etc/kube/config:1: kind is 'Pod', must be 'Config'");
  CHECK(fault("kind: Config\n").find("current-context is missing") != std::string::npos);
  CHECK(fault(kubeconfig("    server: ftp://10.0.0.1\n", kUser)) ==
        "/etc/kube/config:11: clusters[0].cluster.server must start with https:// or http://");
  CHECK(fault(kubeconfig(kCluster, "    username: admin\n    password: x\n"))
            .starts_with("/etc/kube/config:15: users[0].user.username is basic authentication"));
  CHECK(fault(kubeconfig(kCluster, "    auth-provider: {name: gcp}\n")).find("auth-provider") !=
        std::string::npos);
  CHECK(fault(kubeconfig(kCluster, "    as: root\n")).find("impersonation") != std::string::npos);
  CHECK(fault(kubeconfig(std::string(kCluster) + "    proxy-url: socks5://p:1\n", kUser))
            .starts_with("/etc/kube/config:12: clusters[0].cluster.proxy-url is a SOCKS proxy"));
  CHECK(fault(kubeconfig(std::string(kCluster) + "    certificate-authority-data: '%%'\n", kUser))
            .ends_with("certificate-authority-data is not base64"));
  CHECK(fault(kubeconfig(std::string(kCluster) + "    certificate-authority-data: eA==\n", kUser))
            .find("no PEM block") != std::string::npos);
  CHECK(fault(kubeconfig(std::string(kCluster) + "    insecure-skip-tls-verify: maybe\n", kUser))
            .ends_with("must be true or false"));
  CHECK(fault(kubeconfig(std::string(kCluster) +
                             "    insecure-skip-tls-verify: true\n    certificate-authority: a\n",
                         kUser))
            .find("remove one of them") != std::string::npos);
  CHECK(fault(kubeconfig(kCluster, "    client-key: a\n")).find("no client-certificate") !=
        std::string::npos);
  CHECK(fault(kubeconfig(kCluster, "    token: [a]\n"))
            .ends_with("users[0].user.token must be a string"));
  CHECK(fault("clusters: [\n").starts_with("/etc/kube/config:"));
  CHECK(fault("- a\n").ends_with(" must be a mapping"));
}

TEST_CASE("an exec plugin of another API version, or one that needs a terminal, is refused",
          "[kubeconfig]") {
  const std::string exec =
      "    exec:\n      command: x\n      apiVersion: client.authentication.k8s.io/";
  CHECK(fault(kubeconfig(kCluster, exec + "v1alpha1\n")).find("is not supported") !=
        std::string::npos);
  CHECK(
      fault(kubeconfig(kCluster, exec + "v1\n      interactiveMode: Always\n")).find("terminal") !=
      std::string::npos);
  CHECK(fault(kubeconfig(kCluster, exec + "v1\n    token: a\n")).find("combined") !=
        std::string::npos);
}

TEST_CASE("the message for a missing kubeconfig names the alternatives", "[kubeconfig]") {
  const AccessResult access = k8s::find_api_access("/nonexistent/config", "", {});
  REQUIRE_FALSE(access.has_value());
  CHECK(access.error().text() ==
        "/nonexistent/config: does not exist: give --kubeconfig an existing file, or omit it in a "
        "Pod "
        "to use the service account");
}

TEST_CASE("the flag --master replaces the kubeconfig's server and nothing else", "[kubeconfig]") {
  const fake::TemporaryFolder folder;
  const std::string path = folder.write("config", kubeconfig(kCluster, kUser));
  const AccessResult access = k8s::find_api_access(path, "https://other:7443", {});
  REQUIRE(access.has_value());
  CHECK(access->url() == "https://other:7443");
  CHECK(access->token.text == "abc");
  const AccessResult bad = k8s::find_api_access(path, "ftp://other", {});
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error().text() == "--master: 'ftp://other' must start with https:// or http://");
}

TEST_CASE("in a Pod the service account is used", "[kubeconfig]") {
  const fake::TemporaryFolder folder;
  const InCluster pod{.host = "fd00::a", .port = "443", .directory = folder.path()};
  const AccessResult missing = k8s::find_api_access("", "", pod);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().text().find("automountServiceAccountToken") != std::string::npos);
  const std::string token = folder.write("token", "t");
  const AccessResult access = k8s::find_api_access("", "", pod);
  REQUIRE(access.has_value());
  CHECK(access->url() == "https://[fd00::a]:443");
  CHECK(access->token.file == token);
  CHECK(access->certificate_authority.file == folder.path() + "/ca.crt");

  const AccessResult master = k8s::find_api_access("", "https://10.0.0.1:6443", pod);
  REQUIRE(master.has_value());
  CHECK(master->url() == "https://10.0.0.1:6443");
  CHECK(master->token.file == token);
  // The token is not sent without TLS.
  CHECK(k8s::find_api_access("", "http://10.0.0.1", pod)->token.empty());

  const AccessResult nowhere = k8s::find_api_access("", "", {});
  REQUIRE_FALSE(nowhere.has_value());
  CHECK(nowhere.error().text().find("--kubeconfig") != std::string::npos);
}

TEST_CASE("a server without a scheme is http, or https where TLS is configured (G)",
          "[kubeconfig]") {
  const std::string server = "    server: 10.0.0.1:6443\n";
  CHECK(good(server, kUser).url() == "http://10.0.0.1:6443");
  CHECK(good(server + "    certificate-authority: ca\n", kUser).url() == "https://10.0.0.1:6443");
  CHECK(good(server + "    insecure-skip-tls-verify: true\n", kUser).url() ==
        "https://10.0.0.1:6443");
  CHECK(good(server, "    client-certificate: c\n    client-key: k\n").url() ==
        "https://10.0.0.1:6443");
  CHECK(good("    server: https://10.0.0.1/\n", kUser).url() == "https://10.0.0.1:443");
}

TEST_CASE("the flag --master without a scheme is http, and gets no service account's token (G)",
          "[kubeconfig]") {
  const fake::TemporaryFolder folder;
  folder.write("token", "t");
  const InCluster pod{.host = "fd00::a", .port = "443", .directory = folder.path()};
  const AccessResult plain = k8s::find_api_access("", "127.0.0.1:8080", pod);
  REQUIRE(plain.has_value());
  CHECK(plain->url() == "http://127.0.0.1:8080");
  CHECK(plain->token.empty());
  const AccessResult upper = k8s::find_api_access("", "HTTPS://127.0.0.1", pod);
  REQUIRE(upper.has_value());
  CHECK_FALSE(upper->token.empty());
}

TEST_CASE("unknown and deprecated fields of a kubeconfig are ignored (G)", "[kubeconfig]") {
  const std::string text =
      kubeconfig(std::string(kCluster) +
                     "    api-version: v1\n    disable-compression: true\n    x-new: {a: [1]}\n",
                 kUser) +
      "extensions: []\nx-unknown: 1\n";
  const AccessResult access = k8s::parse_kubeconfig(text, kName);
  REQUIRE(access.has_value());
  CHECK(access->url() == "https://10.0.0.1:6443");
}

TEST_CASE("a kubeconfig's proxy-url leads to the server, before the environment's (G)",
          "[kubeconfig]") {
  const k8s::ProxyEnvironment environment{
      .https_proxy = "proxy.example:3128", .http_proxy = "http://plain.example", .no_proxy = ""};
  const fake::TemporaryFolder folder;
  const auto find = [&](const std::string& cluster, const k8s::ProxyEnvironment& proxies) {
    const std::string path = folder.write("config", kubeconfig(cluster, kUser));
    const AccessResult access = k8s::find_api_access(path, "", {}, proxies);
    if (!access) FAIL(access.error().text());
    return *access;
  };
  const ApiAccess own =
      find(std::string(kCluster) + "    proxy-url: https://a%40b:c@own.example/\n", environment);
  CHECK(own.route() ==
        "https://10.0.0.1:6443 by the proxy https://own.example:443 (from proxy-url)");
  CHECK(own.proxy->authorization() == "Basic YUBiOmM=");
  CHECK(find(kCluster, environment).route() ==
        "https://10.0.0.1:6443 by the proxy http://proxy.example:3128 (from HTTPS_PROXY)");
  CHECK(find("    server: http://10.0.0.1\n", environment).route() ==
        "http://10.0.0.1:80 by the proxy http://plain.example:80 (from HTTP_PROXY)");
  k8s::ProxyEnvironment excluded = environment;
  excluded.no_proxy = "10.0.0.0/8";
  CHECK_FALSE(find(kCluster, excluded).proxy);
  k8s::ProxyEnvironment bad = environment;
  bad.https_proxy = "socks5://s:1";
  const AccessResult socks = k8s::find_api_access("", "https://10.0.0.1", {}, bad);
  REQUIRE_FALSE(socks.has_value());
  CHECK(socks.error().text() ==
        "the environment variable HTTPS_PROXY: is a SOCKS proxy, which is not supported: use one "
        "with http:// or https://, or name the API server in NO_PROXY");
}

TEST_CASE("a plugin's output is checked", "[kubeconfig]") {
  const std::string version = "client.authentication.k8s.io/v1";
  const auto parse = [&](const std::string& status) {
    return k8s::parse_exec_credential(
        R"({"kind":"ExecCredential","apiVersion":")" + version + R"(","status":)" + status + "}",
        version);
  };
  const auto token = parse(R"({"token":"t","expirationTimestamp":"1970-01-01T00:01:00Z"})");
  REQUIRE(token.has_value());
  CHECK(token->token == "t");
  CHECK(token->expires == 60);
  CHECK(parse(R"({"clientCertificateData":"c","clientKeyData":"k"})").has_value());
  CHECK_FALSE(parse(R"({"clientCertificateData":"c"})").has_value());
  CHECK_FALSE(parse(R"({"token":7})").has_value());
  CHECK_FALSE(parse(R"({"token":"t","expirationTimestamp":"soon"})").has_value());
  CHECK_FALSE(parse("null").has_value());
  CHECK_FALSE(k8s::parse_exec_credential("{}", version).has_value());
  CHECK_FALSE(k8s::parse_exec_credential("not json", version).has_value());
}
