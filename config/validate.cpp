// SPDX-License-Identifier: Apache-2.0
#include "config/validate.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "config/values.hpp"

namespace config {
namespace {

// Allowed prefix lengths of a cluster IP range. IPv4: the limits of kube-apiserver. IPv6: from /64,
// the widest range that its ServiceCIDR allocator accepts.
struct PrefixBounds {
  int least;
  int most;
};
// An option that is no flag.
constexpr std::string_view kAcceptTypes = "clientConnection.acceptContentTypes";

constexpr PrefixBounds kIpv4Range{12, 30};
constexpr PrefixBounds kIpv6Range{64, 126};

class Validator {
 public:
  explicit Validator(const Circumstances& circumstances) : circumstances_(circumstances) {}

  Checked run(const std::vector<Settings>& layers) {
    for (const Settings& layer : layers) apply(layer);
    default_as_kube_proxy();
    default_binds();
    check_sources();
    check_families("cluster-cidr", checked_.config.cluster_cidrs);
    check_families("service-cluster-ip-range", checked_.config.service_cluster_ip_range);
    check_local_mode();
    check_api_limits();
    check_media_types();
    check_manifest_ranges();
    check_ports();
    check_dns();
    derive_node_name();
    return std::move(checked_);
  }

 private:
  void apply(const Settings& layer) {
    Config& config = checked_.config;
    checked_.faults.insert(checked_.faults.end(), layer.faults.begin(), layer.faults.end());
    config.warnings.insert(config.warnings.end(), layer.warnings.begin(), layer.warnings.end());
    for (const Setting& setting : layer.given) {
      const Option& option = *setting.option;
      if (option.clear != nullptr) option.clear(config);
      for (const Setting::Item& item : setting.items) {
        // "file:line:column" does not name the option.
        const std::string name = setting.key.empty() ? "" : setting.key + ": ";
        const std::size_t warnings_before = config.warnings.size();
        const std::string why = option.set(config, item.text);
        for (std::size_t i = warnings_before; i < config.warnings.size(); ++i) {
          config.warnings[i] = item.where + ": " + name + config.warnings[i];
        }
        if (!why.empty()) fault(item.where, name + why);
        texts_[name_of(option)] = item.text;
      }
      origins_[name_of(option)] = {.where = setting.where, .key = setting.key};
    }
  }

  static std::string_view name_of(const Option& option) {
    return option.flag.empty() ? option.key : option.flag;
  }

  void fault(std::string where, std::string what) {
    checked_.faults.push_back({std::move(where), std::move(what)});
  }
  void refuse(std::string_view flag, const std::string& what) {
    fault(where(flag), key_of(flag) + what);
  }
  void warn(std::string_view flag, const std::string& what) {
    checked_.config.warnings.push_back(where(flag) + ": " + key_of(flag) + what);
  }
  bool given(std::string_view flag) const { return origins_.contains(flag); }
  // Where the option was set: "file:line:column" or "--flag"; "--flag" too if it was not set.
  std::string where(std::string_view flag) const {
    const auto place = origins_.find(flag);
    return place == origins_.end() ? "--" + std::string(flag) : place->second.where;
  }
  // "key: " if the option was set in the file.
  std::string key_of(std::string_view flag) const {
    const auto place = origins_.find(flag);
    const bool has_key = place != origins_.end() && !place->second.key.empty();
    return has_key ? place->second.key + ": " : "";
  }

  // Where kube-proxy ran, its role gives no right to Pods, and its rules accepted what it forwarded.
  void default_as_kube_proxy() {
    Config& config = checked_.config;
    config.as_kube_proxy = circumstances_.as_kube_proxy;
    if (config.as_kube_proxy && config.manifests.empty() && !given("endpoint-source"))
      config.endpoint_source = EndpointSource::kEndpointSlice;
    if (config.compat == Compat::kKubeProxy && !given("forward-accept"))
      config.forward_accept = true;
  }

  // As in kube-proxy, a listener's default address has the family of --bind-address.
  void default_binds() {
    Config& config = checked_.config;
    if (config.bind_address.is_v6()) {
      using boost::asio::ip::address_v6;
      if (!given("metrics-bind-address"))
        config.metrics_bind = HostPort{address_v6::loopback(), kMetricsPort};
      if (!given("healthz-bind-address"))
        config.healthz_bind = HostPort{address_v6::any(), kHealthzPort};
    }
    apply_port("metrics-port", config.metrics_port, "metrics-bind-address", config.metrics_bind);
    apply_port("healthz-port", config.healthz_port, "healthz-bind-address", config.healthz_bind);
  }

  // kube-proxy's deprecated flags: 0 disables the listener; any other port counts if the address
  // was given without one.
  void apply_port(std::string_view flag, std::uint16_t port, std::string_view bind_flag,
                  std::optional<HostPort>& bind) {
    if (!given(flag) || !bind) return;
    warn(flag, "deprecated: use --" + std::string(bind_flag));
    const auto text_given = texts_.find(bind_flag);
    if (port == 0) {
      bind.reset();
    } else if (text_given == texts_.end() || !has_port(text_given->second)) {
      bind->port = port;
    } else if (bind->port != port) {
      warn(flag, "ignored: " + where(bind_flag) + " has a port already");
    }
  }
  static bool has_port(const std::string& address) {
    const auto one = parse_host_port(address, 1);
    const auto other = parse_host_port(address, 2);
    return one && other && one->port == other->port;
  }

  void check_sources() {
    const Config& config = checked_.config;
    if (config.manifests.empty() || config.cleanup) return;
    for (const std::string_view other : {"kubeconfig", "master"}) {
      const bool set = other == "kubeconfig" ? !config.kubeconfig.empty() : !config.master.empty();
      if (!set) continue;
      refuse("manifests", "cannot be combined with --" + std::string(other) + " (" + where(other) +
                              "): manifests replace the cluster");
    }
  }

  void check_families(std::string_view flag, const std::vector<Network>& networks) {
    const auto ipv4 = std::count_if(networks.begin(), networks.end(),
                                    [](const Network& network) { return network.address.is_v4(); });
    const auto ipv6 = static_cast<std::ptrdiff_t>(networks.size()) - ipv4;
    for (const auto& [count, family] : {std::pair{ipv4, "IPv4"}, std::pair{ipv6, "IPv6"}}) {
      if (count > 1) {
        refuse(flag, std::to_string(count) + " " + family + " networks: at most one per family");
      }
    }
  }

  void check_local_mode() {
    const Config& config = checked_.config;
    if (config.cleanup) return;
    check_interface(LocalMode::kBridge, "pod-bridge-interface", config.pod_bridge_interface);
    check_interface(LocalMode::kNamePrefix, "pod-interface-name-prefix",
                    config.pod_interface_name_prefix);
    if (config.detect_local_mode == LocalMode::kNodeCidr && !config.manifests.empty()) {
      refuse(
          "detect-local-mode",
          "NodeCIDR needs an API server, which has the Pod networks of Nodes; with --manifests (" +
              where("manifests") + "): ClusterCIDR, BridgeInterface or InterfaceNamePrefix");
    }
  }

  // As kube-proxy, with a warning where it says nothing.
  void check_interface(LocalMode mode, std::string_view flag, const std::string& name) {
    const bool is_used = checked_.config.detect_local_mode == mode;
    if (is_used && name.empty()) {
      refuse("detect-local-mode",
             std::string(mode == LocalMode::kBridge ? "BridgeInterface" : "InterfaceNamePrefix") +
                 " needs --" + std::string(flag) + ", or its key in detectLocal: 1-15 characters");
    } else if (!is_used && !name.empty()) {
      warn(flag, "ignored: --detect-local-mode does not ask for it");
    }
  }

  void check_api_limits() {
    const Config& config = checked_.config;
    if (config.kube_api_burst != 0 && config.kube_api_qps == 0)
      warn("kube-api-burst", "ignored: there is no limit without --kube-api-qps");
  }

  // client-go sends acceptContentTypes, or else contentType, to the API server, which answers with
  // the first type that it has.
  void check_media_types() {
    Config& config = checked_.config;
    const bool by_list = !config.kube_api_accept_content_types.empty();
    const std::string_view flag = by_list ? kAcceptTypes : "kube-api-content-type";
    std::string unknown;
    for (const std::string& each : split_list(by_list ? config.kube_api_accept_content_types
                                                      : config.kube_api_content_type)) {
      const std::string type = each.substr(0, each.find(';'));
      if (type == "application/vnd.kubernetes.protobuf" || type == "*/*") return;
      if (type == "application/json") {
        config.prefers_json = true;
        return;
      }
      unknown = type;
    }
    if (unknown.empty()) return;
    warn(flag, quoted(unknown) +
                   " is neither application/json nor application/vnd.kubernetes.protobuf: protobuf "
                   "is asked for, and JSON taken");
  }

  void check_manifest_ranges() {
    const Config& config = checked_.config;
    if (config.manifests.empty()) {
      const Config defaults;
      constexpr std::string_view kWhy =
          "ignored without --manifests: the API server allocates these";
      if (config.service_cluster_ip_range != defaults.service_cluster_ip_range) {
        warn("service-cluster-ip-range", std::string(kWhy));
      }
      if (config.node_port_first != defaults.node_port_first ||
          config.node_port_last != defaults.node_port_last) {
        warn("service-node-port-range", std::string(kWhy));
      }
      return;
    }
    if (config.service_cluster_ip_range.empty()) {
      refuse("service-cluster-ip-range", "must not be empty with --manifests");
    }
    for (const Network& network : config.service_cluster_ip_range) {
      const PrefixBounds bounds = network.address.is_v4() ? kIpv4Range : kIpv6Range;
      if (network.prefix_length >= bounds.least && network.prefix_length <= bounds.most) continue;
      refuse("service-cluster-ip-range", text(network) + " must have a prefix from /" +
                                             std::to_string(bounds.least) + " to /" +
                                             std::to_string(bounds.most));
    }
  }

  // With two listeners on one port, the second could not be opened.
  void check_ports() {
    const auto& metrics = checked_.config.metrics_bind;
    const auto& healthz = checked_.config.healthz_bind;
    if (!metrics || !healthz || metrics->port == 0 || metrics->port != healthz->port) return;
    // One of them is retried and reported; kube-proxy starts, too.
    const bool is_fatal = checked_.config.bind_address_hard_fail;
    const bool same_address = metrics->address == healthz->address;
    const bool wildcard = metrics->address.is_unspecified() || healthz->address.is_unspecified();
    if (same_address || (wildcard && metrics->address.is_v4() == healthz->address.is_v4())) {
      const std::string what = text(*metrics) + " conflicts with --healthz-bind-address (" +
                               text(*healthz) + ", " + where("healthz-bind-address") + ")";
      if (is_fatal) return refuse("metrics-bind-address", what);
      warn("metrics-bind-address", what + ": only one of them is served");
    }
  }

  // A query that came back would go around until its time is over.
  void check_dns() {
    const Config& config = checked_.config;
    for (const HostPort& upstream : config.dns_upstreams) {
      if (upstream.address.is_unspecified() || upstream.port == 0) {
        refuse("dns-upstream", text(upstream) + " is no address that can be asked");
      }
      if (std::find(config.dns_binds.begin(), config.dns_binds.end(), upstream) !=
          config.dns_binds.end()) {
        refuse("dns-upstream", text(upstream) + " is where this agent answers itself (" +
                                   where("dns-bind-address") + ")");
      }
    }
    for (auto bind = config.dns_binds.begin(); bind != config.dns_binds.end(); ++bind) {
      if (std::find(config.dns_binds.begin(), bind, *bind) == bind) continue;
      refuse("dns-bind-address", text(*bind) + " is given twice");
    }
    if (config.dns_binds.empty() && !config.dns_upstreams.empty()) {
      warn("dns-upstream", "ignored: without --dns-bind-address there is no DNS server");
    }
  }

  // As in nodeutil.GetHostname(): the override or the host name, trimmed and in lower case.
  void derive_node_name() {
    Config& config = checked_.config;
    std::string_view name = config.hostname_override.empty()
                                ? std::string_view(circumstances_.host_name)
                                : std::string_view(config.hostname_override);
    constexpr std::string_view kBlank = " \t\r\n";
    name.remove_prefix(std::min(name.find_first_not_of(kBlank), name.size()));
    name = name.substr(0, name.find_last_not_of(kBlank) + 1);
    config.node_name = std::string(name);
    std::transform(
        config.node_name.begin(), config.node_name.end(), config.node_name.begin(),
        [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    // These do one thing and exit; none of it concerns the Node.
    if (config.cleanup || config.init_only || !config.write_config_to.empty()) return;
    if (config.node_name.empty()) {
      refuse("hostname-override", config.hostname_override.empty()
                                      ? "this host has no name: set the node's name"
                                      : "must not be blank");
    } else if (config.manifests.empty() && !is_node_name(config.node_name)) {
      // With a cluster, the name becomes part of request paths. Without one it is only compared.
      refuse("hostname-override",
             quoted(config.node_name) +
                 " is not a valid node name (lower-case letters, digits, - and .; at most 253 "
                 "characters)");
    }
  }

  // An RFC 1123 subdomain; the API server checks Node names the same way.
  static bool is_node_name(std::string_view name) {
    if (name.size() > 253) return false;
    char before = '.';
    for (const char c : name) {
      const bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      if (!letter_or_digit && c != '-' && c != '.') return false;
      if (before == '.' && !letter_or_digit) return false;
      if (before == '-' && c == '.') return false;
      before = c;
    }
    return before != '-' && before != '.';
  }

  const Circumstances& circumstances_;
  Checked checked_;
  struct Origin {
    std::string where;
    std::string key;  // in the file
  };
  std::map<std::string_view, Origin> origins_;
  std::map<std::string_view, std::string> texts_;  // the last text given for each option
};

}  // namespace

Checked apply_and_validate(const std::vector<Settings>& layers,
                           const Circumstances& circumstances) {
  return Validator(circumstances).run(layers);
}

}  // namespace config
