// SPDX-License-Identifier: Apache-2.0
//
// A plan as JSON, for programs and to be compared later. Pure.
//
//   {"kind": "Plan", "apiVersion": "kube-ipvs.io/v1", "version": "v0.1.0",
//    "node": {"name": "node-1", "addresses": ["192.0.2.10"]},
//    "virtualServers": [
//      {"protocol": "TCP", "address": "10.96.0.1", "port": 80, "service": "default/web",
//       "scheduler": "rr", "flags": 0, "persistenceSeconds": 0,
//       "destinations": [{"address": "10.244.1.7", "port": 8080, "weight": 1}]}],
//    "addresses": ["10.96.0.1"],
//    "elements": ["cluster-ips-4 10.96.0.1 . tcp . 80"], "rules": ["refuse: reject"],
//    "refused": ["Service default/web: AddressRefused: ..."]}
//
// Errors: read_plan() names the field. A field that it does not know is of a later version, and is
// ignored.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <boost/system/result.hpp>
#include <string>

#include "agent/plan/plan.hpp"

namespace agent {

boost::json::object to_json(const Plan& plan);

// Whether it says that it is a plan.
bool is_plan(const boost::json::value& value);

struct BadPlan {
  std::string what;
};
boost::system::result<Plan, BadPlan> read_plan(const boost::json::value& value);

}  // namespace agent
