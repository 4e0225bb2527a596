// SPDX-License-Identifier: Apache-2.0
//
// What `nft list table inet kube-ipvs` (nftables 1.0.6) prints for the pod networks 10.244.0.0/16
// and fd00:244::/57, without elements: what ipvs/nftables/table.hpp and rules.hpp make.
#pragma once

inline constexpr const char* kDrawnTable = R"(table inet kube-ipvs {
	set cluster-ips-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set cluster-ips-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	set external-ips-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set external-ips-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	set external-local-ips-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set external-local-ips-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	set node-ports {
		type inet_proto . inet_service
	}

	set node-ports-local {
		type inet_proto . inet_service
	}

	set node-addresses-4 {
		type ipv4_addr
	}

	set node-addresses-6 {
		type ipv6_addr
	}

	set virtual-ips-4 {
		type ipv4_addr
	}

	set virtual-ips-6 {
		type ipv6_addr
	}

	set hairpin-4 {
		type ipv4_addr . ipv4_addr
	}

	set hairpin-6 {
		type ipv6_addr . ipv6_addr
	}

	set refused-ips-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set refused-ips-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	set elsewhere-ips-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set elsewhere-ips-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	set refused-node-ports-4 {
		type inet_proto . inet_service
	}

	set refused-node-ports-6 {
		type inet_proto . inet_service
	}

	set elsewhere-node-ports-4 {
		type inet_proto . inet_service
	}

	set elsewhere-node-ports-6 {
		type inet_proto . inet_service
	}

	map short-cuts-4 {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
	}

	map short-cuts-6 {
		type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
	}

	map short-cut-node-ports-4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
	}

	map short-cut-node-ports-6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
	}

	set limited-ips-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set limited-ips-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	set allowed-sources-4 {
		type ipv4_addr . inet_proto . inet_service . ipv4_addr
		flags interval
	}

	set allowed-sources-6 {
		type ipv6_addr . inet_proto . inet_service . ipv6_addr
		flags interval
	}

	set health-checks-4 {
		type ipv4_addr . inet_proto . inet_service
	}

	set health-checks-6 {
		type ipv6_addr . inet_proto . inet_service
	}

	chain cluster-ip {
		ip saddr != 127.0.0.0/8 ip saddr != 10.244.0.0/16 masquerade fully-random
		ip6 saddr != ::1 ip6 saddr != fd00:244::/57 masquerade fully-random
		ip saddr . ip daddr @hairpin-4 masquerade fully-random
		ip6 saddr . ip6 daddr @hairpin-6 masquerade fully-random
	}

	chain external {
		ip saddr != 127.0.0.0/8 masquerade fully-random
		ip6 saddr != ::1 masquerade fully-random
	}

	chain external-local {
		fib saddr type local masquerade fully-random
		ip saddr . ip daddr @hairpin-4 masquerade fully-random
		ip6 saddr . ip6 daddr @hairpin-6 masquerade fully-random
	}

	chain node-port {
		meta l4proto tcp meta l4proto . ct original proto-dst @node-ports goto external
		meta l4proto udp meta l4proto . ct original proto-dst @node-ports goto external
		meta l4proto sctp meta l4proto . ct original proto-dst @node-ports goto external
		meta l4proto tcp meta l4proto . ct original proto-dst @node-ports-local goto external-local
		meta l4proto udp meta l4proto . ct original proto-dst @node-ports-local goto external-local
		meta l4proto sctp meta l4proto . ct original proto-dst @node-ports-local goto external-local
	}

	chain services-4 {
		meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst @cluster-ips-4 goto cluster-ip
		meta l4proto udp ct original ip daddr . meta l4proto . ct original proto-dst @cluster-ips-4 goto cluster-ip
		meta l4proto sctp ct original ip daddr . meta l4proto . ct original proto-dst @cluster-ips-4 goto cluster-ip
		meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst @external-ips-4 goto external
		meta l4proto udp ct original ip daddr . meta l4proto . ct original proto-dst @external-ips-4 goto external
		meta l4proto sctp ct original ip daddr . meta l4proto . ct original proto-dst @external-ips-4 goto external
		meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst @external-local-ips-4 goto external-local
		meta l4proto udp ct original ip daddr . meta l4proto . ct original proto-dst @external-local-ips-4 goto external-local
		meta l4proto sctp ct original ip daddr . meta l4proto . ct original proto-dst @external-local-ips-4 goto external-local
		ct original ip daddr @node-addresses-4 goto node-port
	}

	chain services-6 {
		meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst @cluster-ips-6 goto cluster-ip
		meta l4proto udp ct original ip6 daddr . meta l4proto . ct original proto-dst @cluster-ips-6 goto cluster-ip
		meta l4proto sctp ct original ip6 daddr . meta l4proto . ct original proto-dst @cluster-ips-6 goto cluster-ip
		meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst @external-ips-6 goto external
		meta l4proto udp ct original ip6 daddr . meta l4proto . ct original proto-dst @external-ips-6 goto external
		meta l4proto sctp ct original ip6 daddr . meta l4proto . ct original proto-dst @external-ips-6 goto external
		meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst @external-local-ips-6 goto external-local
		meta l4proto udp ct original ip6 daddr . meta l4proto . ct original proto-dst @external-local-ips-6 goto external-local
		meta l4proto sctp ct original ip6 daddr . meta l4proto . ct original proto-dst @external-local-ips-6 goto external-local
		ct original ip6 daddr @node-addresses-6 goto node-port
	}

	chain short-cuts {
		dnat ip to ip daddr . meta l4proto . th dport map @short-cuts-4
		ip daddr @node-addresses-4 dnat ip to meta l4proto . th dport map @short-cut-node-ports-4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @short-cuts-6
		ip6 daddr @node-addresses-6 dnat ip6 to meta l4proto . th dport map @short-cut-node-ports-6
	}

	chain limits {
		ip daddr . meta l4proto . th dport @limited-ips-4 ip daddr . meta l4proto . th dport . ip saddr != @allowed-sources-4 drop
		ip6 daddr . meta l4proto . th dport @limited-ips-6 ip6 daddr . meta l4proto . th dport . ip6 saddr != @allowed-sources-6 drop
	}

	chain invalid {
		ip daddr . meta l4proto . th dport @cluster-ips-4 drop
		ip daddr . meta l4proto . th dport @external-ips-4 drop
		ip daddr . meta l4proto . th dport @external-local-ips-4 drop
		ip daddr @node-addresses-4 meta l4proto . th dport @node-ports drop
		ip daddr @node-addresses-4 meta l4proto . th dport @node-ports-local drop
		ip6 daddr . meta l4proto . th dport @cluster-ips-6 drop
		ip6 daddr . meta l4proto . th dport @external-ips-6 drop
		ip6 daddr . meta l4proto . th dport @external-local-ips-6 drop
		ip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports drop
		ip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports-local drop
	}

	chain invalid-resets {
		ip daddr 10.244.0.0/16 tcp flags rst drop
		ip daddr . ip daddr @hairpin-4 tcp flags rst drop
		ip6 daddr fd00:244::/57 tcp flags rst drop
		ip6 daddr . ip6 daddr @hairpin-6 tcp flags rst drop
	}

	chain refuse {
		meta l4proto tcp reject with tcp reset
		reject
	}

	chain refusals {
		ip daddr . meta l4proto . th dport @refused-ips-4 goto refuse
		ip daddr @node-addresses-4 meta l4proto . th dport @refused-node-ports-4 goto refuse
		ip6 daddr . meta l4proto . th dport @refused-ips-6 goto refuse
		ip6 daddr @node-addresses-6 meta l4proto . th dport @refused-node-ports-6 goto refuse
	}

	chain arriving {
		ct state invalid goto invalid
		goto limits
	}

	chain leaving {
		ct state invalid jump invalid-resets
		ct state invalid goto invalid
		jump limits
		goto refusals
	}

	chain entering {
		jump refusals
		ip daddr . meta l4proto . th dport @elsewhere-ips-4 drop
		ip daddr @node-addresses-4 meta l4proto . th dport @elsewhere-node-ports-4 drop
		ip6 daddr . meta l4proto . th dport @elsewhere-ips-6 drop
		ip6 daddr @node-addresses-6 meta l4proto . th dport @elsewhere-node-ports-6 drop
	}

	chain closed-ports {
		ip daddr . meta l4proto . th dport @health-checks-4 accept
		ip6 daddr . meta l4proto . th dport @health-checks-6 accept
		ip daddr @virtual-ips-4 meta l4proto tcp reject with tcp reset
		ip daddr @virtual-ips-4 meta l4proto != icmp reject with icmp port-unreachable
		ip6 daddr @virtual-ips-6 meta l4proto tcp reject with tcp reset
		ip6 daddr @virtual-ips-6 meta l4proto != ipv6-icmp reject with icmpv6 port-unreachable
	}

	chain prerouting {
		type nat hook prerouting priority dstnat - 10; policy accept;
		ip daddr @virtual-ips-4 dnat ip to ip daddr
		ip daddr @node-addresses-4 meta l4proto . th dport @node-ports dnat ip to ip daddr
		ip daddr @node-addresses-4 meta l4proto . th dport @node-ports-local dnat ip to ip daddr
		ip daddr . meta l4proto . th dport @cluster-ips-4 dnat ip to ip daddr
		ip daddr . meta l4proto . th dport @external-ips-4 dnat ip to ip daddr
		ip daddr . meta l4proto . th dport @external-local-ips-4 dnat ip to ip daddr
		ip6 daddr @virtual-ips-6 dnat ip6 to ip6 daddr
		ip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports dnat ip6 to ip6 daddr
		ip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports-local dnat ip6 to ip6 daddr
		ip6 daddr . meta l4proto . th dport @cluster-ips-6 dnat ip6 to ip6 daddr
		ip6 daddr . meta l4proto . th dport @external-ips-6 dnat ip6 to ip6 daddr
		ip6 daddr . meta l4proto . th dport @external-local-ips-6 dnat ip6 to ip6 daddr
	}

	chain output {
		type nat hook output priority -110; policy accept;
		jump short-cuts
		ip daddr @virtual-ips-4 dnat ip to ip daddr
		ip daddr @node-addresses-4 meta l4proto . th dport @node-ports dnat ip to ip daddr
		ip daddr @node-addresses-4 meta l4proto . th dport @node-ports-local dnat ip to ip daddr
		ip daddr . meta l4proto . th dport @cluster-ips-4 dnat ip to ip daddr
		ip daddr . meta l4proto . th dport @external-ips-4 dnat ip to ip daddr
		ip daddr . meta l4proto . th dport @external-local-ips-4 dnat ip to ip daddr
		ip6 daddr @virtual-ips-6 dnat ip6 to ip6 daddr
		ip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports dnat ip6 to ip6 daddr
		ip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports-local dnat ip6 to ip6 daddr
		ip6 daddr . meta l4proto . th dport @cluster-ips-6 dnat ip6 to ip6 daddr
		ip6 daddr . meta l4proto . th dport @external-ips-6 dnat ip6 to ip6 daddr
		ip6 daddr . meta l4proto . th dport @external-local-ips-6 dnat ip6 to ip6 daddr
	}

	chain guard-prerouting {
		type filter hook prerouting priority -120; policy accept;
		ct state invalid,new jump arriving
	}

	chain guard-output {
		type filter hook output priority -120; policy accept;
		ct state invalid,new jump leaving
	}

	chain guard-input {
		type filter hook input priority 90; policy accept;
		ct state new jump entering
	}

	chain input {
		type filter hook input priority 110; policy accept;
		ct state new jump closed-ports
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr . meta l4proto . th sport @limited-ips-4 ip saddr . meta l4proto . th sport . ip daddr != @allowed-sources-4 drop
		ip6 saddr . meta l4proto . th sport @limited-ips-6 ip6 saddr . meta l4proto . th sport . ip6 daddr != @allowed-sources-6 drop
		meta nfproto ipv4 goto services-4
		meta nfproto ipv6 goto services-6
	}
}
)";
