// SPDX-License-Identifier: Apache-2.0
//
// The pages /configz, /flagz and /statusz, in the forms that kube-proxy 1.36 gives them, generated
// from the table of options: what is in force now, after every change of the file. Pure.
//
//   /configz   {"kubeproxy.config.k8s.io": {KubeProxyConfiguration}, "kube-ipvs.io": {ours}}
//   /flagz     a header of three lines, then "name=value" for each flag, in their order by name
//   /statusz   a header of three lines, then "Started: ...", "Up: ...", "Binary version: ...",
//              "Paths: ..."; no "Go version": there is none
//
// None of them has a secret: of --master, a user and password are left out.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace agent {

std::string configz_text(const config::Config& config);
std::string flagz_text(const config::Config& config);
// `paths`: what the server has beside; ordered.
std::string statusz_text(const config::Config& config,
                         std::chrono::system_clock::time_point started,
                         std::chrono::system_clock::time_point now,
                         const std::vector<std::string>& paths);

}  // namespace agent
