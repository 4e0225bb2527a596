# SPDX-License-Identifier: Apache-2.0
# Generated from the tables in config/ by test/docs/write_pages. Do not edit.
# shellcheck shell=bash

_kube_ipvs() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' flags
  # "--name=value" is three words here.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  COMPREPLY=()
  case ${COMP_WORDS[1]} in
    status)
      case $prev in
        -o | --output) words='wide json yaml' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        --peers) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--peers --output --watch --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    get)
      case $prev in
        -o | --output) words='wide json yaml' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        -n | --namespace | -l | --selector) return ;;
        get) words='services endpoints vips conditions' ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--namespace --selector --output --watch --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    explain)
      case $prev in
        --protocol) words='tcp udp sctp' ;;
        -o | --output) words='wide json yaml' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        --from | -n | --namespace) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--from --protocol --namespace --output --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    next)
      case $prev in
        -o | --output) words='wide json yaml' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        -n | --namespace) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--namespace --output --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    top)
      case $prev in
        --sort) words='new active bytes name' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        -n | --namespace | --interval) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--namespace --interval --once --sort --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    observe)
      case $prev in
        -o | --output) words='json' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        -n | --namespace | --for | --rate) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--namespace --for --rate --output --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    history)
      case $prev in
        -o | --output) words='wide json yaml' ;;
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        --since | --at) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--since --at --output --watch --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    drain)
      case $prev in
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
        --for | --reason) return ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--for --reason --api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    undrain)
      case $prev in
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
    log-level)
      case $prev in
        --api-socket)
          compopt -o filenames
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
          return
          ;;
      esac
      if [[ -z $words && $cur == -* ]]; then words='--api-socket'; fi
      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
      return
      ;;
  esac
  case $prev in
    --endpoint-source) words='auto selector endpointslice' ;;
    --compat) words='none kube-proxy' ;;
    --ipvs-scheduler) words='rr wrr lc wlc sh mh dh sed nq fo ovf lblc lblcr twos' ;;
    --vip-binding) words='auto address route' ;;
    --detect-local-mode) words='ClusterCIDR NodeCIDR BridgeInterface InterfaceNamePrefix' ;;
    --takeover) words='auto report off' ;;
    --metrics-endpoints) words='off annotated all' ;;
    --log-format) words='text json' ;;
    --logging-format) words='text json' ;;
    -o | --output) words='summary diff ipvsadm nft ip json' ;;
    --kubeconfig | --config | --api-socket | --compare-with | --write-config-to)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return
      ;;
    --manifests | --run-dir)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    --master | \
      --kube-api-qps | \
      --kube-api-burst | \
      --kube-api-content-type | \
      --feature-gates | \
      --hostname-override | \
      --service-proxy-name | \
      --ipvs-exclude-cidrs | \
      --ipvs-tcp-timeout | \
      --ipvs-tcpfin-timeout | \
      --ipvs-udp-timeout | \
      --ipvs-sync-period | \
      --ipvs-min-sync-period | \
      --proxy-mode | \
      --iptables-masquerade-bit | \
      --cluster-cidr | \
      --pod-bridge-interface | \
      --pod-interface-name-prefix | \
      --nodeport-addresses | \
      --bind-address | \
      --conntrack-max-per-core | \
      --conntrack-min | \
      --conntrack-tcp-timeout-established | \
      --conntrack-tcp-timeout-close-wait | \
      --conntrack-udp-timeout | \
      --conntrack-udp-timeout-stream | \
      --oom-score-adj | \
      --service-cluster-ip-range | \
      --service-node-port-range | \
      --dns-bind-address | \
      --cluster-domain | \
      --dns-upstream | \
      --metrics-bind-address | \
      --healthz-bind-address | \
      --metrics-port | \
      --healthz-port | \
      --show-hidden-metrics-for-version | \
      -v | \
      --v | \
      --vmodule | \
      --api-socket-group | \
      --node-addresses)
      return
      ;;
  esac
  if [[ -z $words ]]; then
    flags='--kubeconfig --master --kube-api-qps --kube-api-burst --kube-api-content-type --feature-gates --manifests --hostname-override --endpoint-source --service-proxy-name --compat --ipvs-scheduler --ipvs-strict-arp --ipvs-exclude-cidrs --ipvs-tcp-timeout --ipvs-tcpfin-timeout --ipvs-udp-timeout --ipvs-sync-period --ipvs-min-sync-period --vip-binding --proxy-mode --masquerade-all --iptables-masquerade-bit --cluster-cidr --detect-local-mode --pod-bridge-interface --pod-interface-name-prefix --nodeport-addresses --forward-accept --takeover --bind-address --conntrack-max-per-core --conntrack-min --conntrack-tcp-timeout-established --conntrack-tcp-timeout-close-wait --conntrack-tcp-be-liberal --conntrack-udp-timeout --conntrack-udp-timeout-stream --reserve-node-ports --oom-score-adj --service-cluster-ip-range --service-node-port-range --dns-bind-address --cluster-domain --dns-upstream --metrics-bind-address --healthz-bind-address --metrics-port --healthz-port --show-hidden-metrics-for-version --bind-address-hard-fail --metrics-endpoints --profiling --config --log-format --logging-format --v --vmodule --run-dir --api-socket --api-socket-group --cleanup --init-only --write-config-to --version --help'
    case ${COMP_WORDS[1]} in
      plan) flags+=' --output --against-kernel --compare-with --node-addresses' ;;
      cleanup) flags+=' --handover --dry-run' ;;
    esac
    if [[ $cur == -* ]]; then
      words=$flags
    elif ((COMP_CWORD == 1)); then
      words='plan cleanup status get explain next top observe history drain undrain log-level'
    fi
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _kube_ipvs kube-ipvs
