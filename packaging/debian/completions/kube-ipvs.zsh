#compdef kube-ipvs
# SPDX-License-Identifier: Apache-2.0
# Generated from the tables in config/ by test/docs/write_pages. Do not edit.

_kube_ipvs() {
  local -a flags=(
    '--kubeconfig=[kubeconfig file for the API server]:FILE:_files'
    '--master=[URL of the API server; overrides the kubeconfig'\''s]:URL: '
    '--kube-api-qps=[requests to the API server in a second]:N: '
    '--kube-api-burst=[requests at once, with --kube-api-qps]:N: '
    '--kube-api-content-type=[application/json, or protobuf for all that has it]:TYPE: '
    '*--feature-gates=[accepted, without effect\: no gate changes anything]:NAME=BOOL,...: '
    '--manifests=[read Services and endpoints from YAML files, without a cluster]:DIR:_files -/'
    '--hostname-override=[the name of this node]:NAME: '
    '--endpoint-source=[auto, selector (Pods by label) or endpointslice]:SOURCE:(auto selector endpointslice)'
    '--service-proxy-name=[serve only Services with this proxy label]:NAME: '
    '--compat=[none, or kube-proxy\: decide as its ipvs mode]:MODE:(none kube-proxy)'
    '--ipvs-scheduler=[rr wrr lc wlc sh mh dh sed nq fo ovf lblc lblcr twos]:NAME:(rr wrr lc wlc sh mh dh sed nq fo ovf lblc lblcr twos)'
    '--ipvs-strict-arp[answer ARP only on the address'\''s own interface (for MetalLB)]'
    '*--ipvs-exclude-cidrs=[networks where others'\'' virtual servers are never ours]:CIDRS: '
    '--ipvs-tcp-timeout=[timeout of idle TCP connections]:DURATION: '
    '--ipvs-tcpfin-timeout=[timeout of TCP connections after a FIN]:DURATION: '
    '--ipvs-udp-timeout=[timeout of idle UDP flows]:DURATION: '
    '--ipvs-sync-period=[how often a part of the kernel'\''s state is checked, 1s-1h]:DURATION: '
    '--ipvs-min-sync-period=[minimum time between kernel updates, up to 1h]:DURATION: '
    '--vip-binding=[address (one per virtual IP) or route (constant cost)]:HOW:(address route)'
    '--proxy-mode=[ipvs; iptables and nftables cause a warning]:MODE: '
    '--masquerade-all[masquerade all traffic to cluster IPs]'
    '--iptables-masquerade-bit=[accepted, without effect\: no mark is used]:BIT: '
    '*--cluster-cidr=[Pod networks, one per family; other sources are masqueraded]:CIDRS: '
    '--detect-local-mode=[Pods'\'' traffic is known by network or by interface]:MODE:(ClusterCIDR NodeCIDR BridgeInterface InterfaceNamePrefix)'
    '--pod-bridge-interface=[the Pods'\'' bridge, with mode BridgeInterface]:NAME: '
    '--pod-interface-name-prefix=[begins Pods'\'' interfaces, with mode InterfaceNamePrefix]:PREFIX: '
    '*--nodeport-addresses=[node ports at\: networks, primary, localhost, all]:CIDRS: '
    '--forward-accept[add accept rules to FORWARD chains that drop (Docker, ufw)]'
    '--takeover=[what kube-proxy left\: auto (adopt or delete), report, off]:MODE:(auto report off)'
    '--bind-address=[the node'\''s primary address]:IP: '
    '--conntrack-max-per-core=[at least N tracked connections per CPU; 0\: unchanged]:N: '
    '--conntrack-min=[at least N tracked connections]:N: '
    '--conntrack-tcp-timeout-established=[at least, when idle; 0s\: unchanged]:DURATION: '
    '--conntrack-tcp-timeout-close-wait=[at least; 0s\: unchanged]:DURATION: '
    '--conntrack-tcp-be-liberal[accept packets outside the TCP window]'
    '--conntrack-udp-timeout=[at least, without replies]:DURATION: '
    '--conntrack-udp-timeout-stream=[at least, with replies]:DURATION: '
    '--reserve-node-ports[add the node ports to net.ipv4.ip_local_reserved_ports]'
    '--oom-score-adj=[this process'\''s oom_score_adj, -1000 to 1000]:N: '
    '*--service-cluster-ip-range=[networks of cluster IPs, one per family]:CIDRS: '
    '--service-node-port-range=[range of node ports]:A-B: '
    '--metrics-bind-address=[address of /metrics; "" disables it]:IP\[\:PORT\]: '
    '--healthz-bind-address=[address of /healthz; "" disables it]:IP\[\:PORT\]: '
    '--metrics-port=[deprecated\: for an address without a port; 0 disables it]:PORT: '
    '--healthz-port=[deprecated\: for an address without a port; 0 disables it]:PORT: '
    '--show-hidden-metrics-for-version=[accepted, without effect\: kube-ipvs hides no metrics]:1.N: '
    '--bind-address-hard-fail[exit if one of these ports is in use, instead of retrying]'
    '--metrics-endpoints=[endpoints in /metrics\: off, annotated or all]:WHICH:(off annotated all)'
    '--profiling[PUT /debug/flags/v on the metrics port changes --v]'
    '--config=[YAML file with any of these settings; flags win over it]:FILE:_files'
    '--log-format=[text or json]:FORMAT:(text json)'
    '--logging-format=[text or json]:FORMAT:(text json)'
    '--v=[log verbosity, 0-10]:LEVEL: '
    '-v[log verbosity, 0-10]:LEVEL: '
    '*--vmodule=[log verbosity of source files, by name; * and ? match]:PATTERN=LEVEL,...: '
    '--run-dir=[directory for the record of what is ours]:DIR:_files -/'
    '--cleanup[remove everything that kube-ipvs created in the kernel and exit]'
    '--init-only[prepare the kernel (modules, sysctls, device, table) and exit]'
    '--write-config-to=[write all settings to a file for --config and exit]:FILE:_files'
    '--version[print the version and exit]'
    '--help[print this help and exit]'
    '-h[print this help and exit]'
  )
  case $words[2] in
    plan) flags+=(
    '--against-kernel[with plan\: say what a start would change in the kernel, and exit]'
    ) ;;
    cleanup) flags+=(
    '--handover[with cleanup\: leave what kube-proxy takes over]'
    '--dry-run[with cleanup\: say what it would remove, and remove nothing]'
    ) ;;
  esac
  _arguments $flags '1:: :((plan\:"say what a start would change in the kernel" cleanup\:"remove everything that kube-ipvs created in the kernel"))'
}

_kube_ipvs "$@"
