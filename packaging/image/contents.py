# SPDX-License-Identifier: Apache-2.0
#
# What is in the image, beside the agent. Names are those of Debian 12.

# The shared libraries that the agent and iptables-legacy need, and no others: the build fails if one is missing, and
# if one is needed no more.
LIBRARIES = (
    'libboost-json1.81.0', 'libc6', 'libfmt9', 'libgcc-s1', 'libip4tc2', 'libip6tc2', 'libldns3',
    'libnl-3-200', 'libnl-genl-3-200', 'libprometheus-cpp-core1.0', 'libspdlog1.10', 'libssl3', 'libstdc++6',
    'libxtables12', 'libyaml-cpp0.7', 'zlib1g')

# gcc-12-base has the copyright of libgcc and libstdc++.
OTHERS = ('base-files', 'ca-certificates', 'gcc-12-base', 'iptables')

# Compiled into the agent, from headers; Boost includes Asio and Beast. Their copyright is in the image as well.
COMPILED_IN = (
    'libboost1.81-dev', 'libcli11-dev', 'libfmt-dev', 'libprotozero-dev', 'libspdlog-dev', 'libstdc++-12-dev',
    'libyaml-cpp-dev', 'prometheus-cpp-dev')

# What scanners of images look at, and the texts that copyright files refer to.
BASE_FILES = ('/etc/debian_version', '/usr/lib/os-release', '/usr/share/common-licenses/*')

# kube-proxy's chains in iptables-legacy can be deleted with these only (ipvs/kube_proxy/legacy_programs.hpp), and a
# program that lists all rules needs the extension of each of them.
IPTABLES = ('/usr/sbin/xtables-legacy-multi', '/usr/sbin/iptables-legacy-save', '/usr/sbin/iptables-legacy-restore',
            '/usr/sbin/ip6tables-legacy-save', '/usr/sbin/ip6tables-legacy-restore',
            '/usr/lib/*/xtables/libxt_*.so', '/usr/lib/*/xtables/libipt_*.so', '/usr/lib/*/xtables/libip6t_*.so')
# It needs three libraries more, for names of labels that no rule of a cluster has.
IPTABLES_WITHOUT = ('libxt_connlabel.so',)

# CAs of the Mozilla Foundation, for an API server or a proxy with a public certificate.
CERTIFICATES = '/usr/share/ca-certificates/mozilla/*.crt'
CERTIFICATE_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'

# As in Debian, but for the second user: 65534 is the one that needs no rights but CAP_NET_ADMIN.
PASSWD = 'root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n'
GROUP = 'root:x:0:\nnogroup:x:65534:\n'
NSSWITCH = 'passwd: files\ngroup: files\nhosts: files dns\n'
DIRECTORIES = ('/dev', '/proc', '/root', '/run/kube-ipvs', '/sys', '/usr/bin', '/var/lib')

AGENT = '/usr/local/bin/kube-ipvs'
KUBE_PROXY = '/usr/local/bin/kube-proxy'
DOCUMENTS = '/usr/share/doc/kube-ipvs'
SBOM = DOCUMENTS + '/sbom.spdx.json'
ENVIRONMENT = 'PATH=/usr/local/bin:/usr/sbin:/usr/bin'
USER = '0:0'
LABELS = {
    'title': 'kube-ipvs',
    'description': 'An IPVS Service proxy for Kubernetes, in place of kube-proxy',
    'licenses': 'Apache-2.0',
    'vendor': 'kube-ipvs',
}
MOST_BYTES = 25 * 1000 * 1000  # of the compressed image
