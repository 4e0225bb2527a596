// SPDX-License-Identifier: Apache-2.0
//
// What `kube-ipvs plan` prints for people, from the answers about Services and conditions
// (agent/answers/answers.hpp). Pure.
//
//   default/web  ClusterIP
//     clusterIP  TCP 10.96.0.1:80  rr, 1 endpoint
//     endpoints of 80:
//       10.244.0.1:8080  web-1  serving
//       10.244.0.2:8080  web-2  out: not ready (Pod default/web-2 ...)
//   not as asked: Service default/old: AddressRefused: 192.0.2.1 is a gateway of this node: not served
#pragma once

#include <boost/json/value.hpp>
#include <set>
#include <string>

namespace agent {

// `conditions` as lines: "Service default/web: AddressRefused: 192.0.2.1 is a gateway ...".
std::set<std::string> refused_lines(const boost::json::value& conditions);

// `services`: with their endpoints. The text has nothing of control characters that objects may have.
std::string summary_text(const boost::json::value& services, const std::set<std::string>& refused);

}  // namespace agent
