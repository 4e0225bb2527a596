#compdef kube-ipvs
# SPDX-License-Identifier: Apache-2.0
# Generated from the tables in config/ by test/docs/write_pages. Do not edit.

_kube_ipvs() {
  case $words[2] in
    status)
      shift words; ((CURRENT--))
      _arguments \
        '--peers=[whether the nodes at these addresses have planned the same; ADDRESS\:PORT if --healthz-bind-address is not at 10256]:ADDRESS,...: ' \
        '--output=[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '-o[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '--watch[ask again every two seconds, show what changed]' \
        '-w[ask again every two seconds, show what changed]' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    get)
      shift words; ((CURRENT--))
      _arguments \
        '--namespace=[of the Services \[all\]]:NAME: ' \
        '-n[of the Services \[all\]]:NAME: ' \
        '--selector=[labels of the Services, as in app=web]:SELECTOR: ' \
        '-l[labels of the Services, as in app=web]:SELECTOR: ' \
        '--output=[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '-o[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '--watch[ask again every two seconds, show what changed]' \
        '-w[ask again every two seconds, show what changed]' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: :(services endpoints vips conditions)' '2: : '
      return ;;
    explain)
      shift words; ((CURRENT--))
      _arguments \
        '--from=[its address, or a Pod \[any client\]]:CLIENT: ' \
        '--protocol=[tcp, udp or sctp \[those that are served\]]:NAME:(tcp udp sctp)' \
        '--namespace=[of names without one \[default\]]:NAME: ' \
        '-n[of names without one \[default\]]:NAME: ' \
        '--output=[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '-o[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    next)
      shift words; ((CURRENT--))
      _arguments \
        '--namespace=[of names without one \[default\]]:NAME: ' \
        '-n[of names without one \[default\]]:NAME: ' \
        '--output=[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '-o[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    top)
      shift words; ((CURRENT--))
      _arguments \
        '--namespace=[of the Services \[all\]]:NAME: ' \
        '-n[of the Services \[all\]]:NAME: ' \
        '--interval=[between two readings, 1-60 \[2\]]:SECONDS: ' \
        '--once[one reading, and exit]' \
        '--sort=[new, active, bytes or name \[new\]]:KEY:(new active bytes name)' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    observe)
      shift words; ((CURRENT--))
      _arguments \
        '--namespace=[of the Service \[default\]]:NAME: ' \
        '-n[of the Service \[default\]]:NAME: ' \
        '--for=[1s-1h \[10m\]]:DURATION: ' \
        '--rate=[lines a second, 1-1000; beyond it a sample is shown \[50\]]:NUMBER: ' \
        '--output=[json\: an object a line]:FORMAT:(json)' \
        '-o[json\: an object a line]:FORMAT:(json)' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    history)
      shift words; ((CURRENT--))
      _arguments \
        '--since=[how far back \[10m\]]:DURATION: ' \
        '--at=[what the kernel held of the Service then, as in 2026-11-30T03\:10\:00Z]:TIME: ' \
        '--output=[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '-o[wide, json or yaml]:FORMAT:(wide json yaml)' \
        '--watch[ask again every two seconds, show what changed]' \
        '-w[ask again every two seconds, show what changed]' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    drain)
      shift words; ((CURRENT--))
      _arguments \
        '--for=[end it by itself after that time, 1s-720h \[not\]]:DURATION: ' \
        '--reason=[shown in every view]:TEXT: ' \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    undrain)
      shift words; ((CURRENT--))
      _arguments \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
    log-level)
      shift words; ((CURRENT--))
      _arguments \
        '--api-socket=[the agent'\''s socket \[/run/kube-ipvs/api.sock\]]:FILE:_files' \
        '1: : ' '2: : '
      return ;;
  esac
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
    '--vip-binding=[address, route (constant cost), or auto\: by their number]:HOW:(auto address route)'
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
    '*--dns-bind-address=[answer DNS for the cluster domain there]:IP\[\:PORT\],...: '
    '--cluster-domain=[names of Services end with svc. and this]:DOMAIN: '
    '*--dns-upstream=[resolvers for other names, for clients in the cluster]:IP\[\:PORT\],...: '
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
    '--api-socket=[unix socket for questions (kube-ipvs status, get, ...), or off]:FILE:_files'
    '--api-socket-group=[group whose members may ask questions, too]:GROUP: '
    '--cleanup[remove everything that kube-ipvs created in the kernel and exit]'
    '--init-only[prepare the kernel (modules, sysctls, device, table) and exit]'
    '--write-config-to=[write all settings to a file for --config and exit]:FILE:_files'
    '--version[print the version and exit]'
    '--help[print this help and exit]'
    '-h[print this help and exit]'
  )
  case $words[2] in
    plan) flags+=(
    '--output=[with plan\: summary json diff ipvsadm nft ip]:FORMAT:(summary diff ipvsadm nft ip json)'
    '-o[with plan\: summary json diff ipvsadm nft ip]:FORMAT:(summary diff ipvsadm nft ip json)'
    '--against-kernel[with plan\: as -o diff, what a start would change in the kernel]'
    '--compare-with=[with plan\: compare with another --config, or a plan -o json]:FILE:_files'
    '*--node-addresses=[with plan\: the addresses of the node that it is for]:IP,...: '
    ) ;;
    cleanup) flags+=(
    '--handover[with cleanup\: leave what kube-proxy takes over]'
    '--dry-run[with cleanup\: say what it would remove, and remove nothing]'
    ) ;;
  esac
  _arguments $flags '1:: :((plan\:"show what an agent would make the kernel hold" cleanup\:"remove everything that kube-ipvs created in the kernel" status\:"the verdict on this node, on one screen" get\:"what is wanted beside what the kernel holds" explain\:"the way of a packet, rule by rule and set by set" next\:"the ready command lines of ipvsadm, nft, conntrack, ss, tcpdump and pwru" top\:"new connections and bytes per second, by endpoint" observe\:"each connection of a Service as it begins and ends: client, endpoint, bytes, how long" history\:"what was changed in the kernel, and because of what" drain\:"give an endpoint (ADDRESS or ADDRESS:PORT) no new connections" undrain\:"end a drain by hand" log-level\:"the level of the agent'\''s log, as --v"))'
}

_kube_ipvs "$@"
