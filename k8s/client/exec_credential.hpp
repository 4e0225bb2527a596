// SPDX-License-Identifier: Apache-2.0
//
// The two messages exchanged with a credential plugin: its input and its output. Pure;
// k8s/client/credentials.hpp runs the program.
// Source: k8s.io/client-go/pkg/apis/clientauthentication v1 and v1beta1 (the same fields in both).
#pragma once

#include <boost/system/result.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "k8s/client/kubeconfig.hpp"
#include "k8s/types.hpp"

namespace k8s {

// An error message for the operator: one line of printable text, whatever a plugin or a file had in
// it. Not convertible from a string, so that constructing a result<std::string, Problem> is never
// ambiguous.
class Problem {
 public:
  static Problem because(const std::string& why);
  Problem() = default;
  std::string text;
};

struct ExecCredential {
  std::string token;
  std::string client_certificate;  // PEM; together with client_key, or both empty
  std::string client_key;
  std::optional<UnixSeconds> expires;  // absent: valid until the API server refuses it
};

// The value of KUBERNETES_EXEC_INFO. `certificate_authority` is PEM text, "" for the system's.
std::string exec_info(const ExecPlugin& plugin, const ApiAccess& access,
                      std::string_view certificate_authority);

boost::system::result<ExecCredential, Problem> parse_exec_credential(std::string_view json,
                                                                     std::string_view api_version);

}  // namespace k8s
