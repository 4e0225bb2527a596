// SPDX-License-Identifier: Apache-2.0
//
// The other settings of `kube-ipvs plan --compare-with FILE`: those of FILE alone, for the same
// objects and the same node.
#pragma once

#include "config/parse.hpp"

namespace config {

// `config` has --compare-with. From it come only where the objects are read (--manifests, --kubeconfig,
// --master), what manifests leave to an API server (--service-cluster-ip-range,
// --service-node-port-range), and which node it is (--hostname-override, --node-addresses), whatever
// FILE says of them. `program`: the name that kube-ipvs was started under.
ParseOutcome parse_compared(const Config& config, const std::string& program,
                            const Environment& environment);

}  // namespace config
