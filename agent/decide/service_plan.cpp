// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/service_plan.hpp"

namespace agent {

const char* text_of(NoticeReason reason) {
  switch (reason) {
    case NoticeReason::kBadAnnotation:
      return "BadAnnotation";
    case NoticeReason::kAddressRefused:
      return "AddressRefused";
    case NoticeReason::kEndpointRefused:
      return "EndpointRefused";
    case NoticeReason::kWeightsIgnored:
      return "WeightsIgnored";
  }
  return "?";
}

}  // namespace agent
