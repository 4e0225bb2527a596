# SPDX-License-Identifier: Apache-2.0
#
# What is installed, and the Debian package: `cpack -G DEB` in a build directory, once the program is built.
#
# The files of the package that are not made from sources are in packaging/debian. Components:
#   Unspecified   `cmake --install` installs only this: the program, its pages, its completions, and documents
#   debian        the package alone has it: unit, user, configuration, and what the Debian Policy asks for
include(GNUInstallDirs)
set(debian ${PROJECT_SOURCE_DIR}/packaging/debian)

install(TARGETS kube-ipvs RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(FILES README.md README.zh-CN.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(page config/flags.md config/kube-proxy.md agent/report/metrics.md agent/decide/annotations.md)
  cmake_path(GET page PARENT_PATH folder)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder})
endforeach()
# At the paths that documents name. Without what needs the source tree, what is installed elsewhere, and links out of it.
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples USE_SOURCE_PERMISSIONS
        PATTERN quickstart EXCLUDE PATTERN lib EXCLUDE PATTERN kube-ipvs.service EXCLUDE
        PATTERN dashboard.json EXCLUDE PATTERN rules.yaml EXCLUDE)
set(chart packaging/helm/kube-ipvs/files)
install(FILES ${chart}/dashboard.json ${chart}/rules.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/monitoring)
install(FILES packaging/kustomize/base/rbac.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/packaging/kustomize/base)

# Installs `source` as `name` without its time, compressed: so the same sources make the same package.
find_program(GZIP gzip REQUIRED)
function(kube_ipvs_install_compressed source directory name)
  set(compressed ${PROJECT_BINARY_DIR}/compressed/${name}.gz)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/compressed)
  execute_process(COMMAND ${GZIP} -9nc ${source} OUTPUT_FILE ${compressed} COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${compressed} DESTINATION ${directory} ${ARGN})
endfunction()

kube_ipvs_install_compressed(${debian}/kube-ipvs.8 ${CMAKE_INSTALL_MANDIR}/man8 kube-ipvs.8)
kube_ipvs_install_compressed(${debian}/kube-ipvs.yaml.5 ${CMAKE_INSTALL_MANDIR}/man5 kube-ipvs.yaml.5)
set(completions ${debian}/completions/kube-ipvs)
install(FILES ${completions}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME kube-ipvs)
install(FILES ${completions}.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _kube-ipvs)
install(FILES ${completions}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

set(in_package COMPONENT debian EXCLUDE_FROM_ALL)
kube_ipvs_install_compressed(${PROJECT_SOURCE_DIR}/CHANGELOG.md ${CMAKE_INSTALL_DOCDIR} changelog ${in_package})
kube_ipvs_install_compressed(${debian}/changelog ${CMAKE_INSTALL_DOCDIR} changelog.Debian ${in_package})
install(FILES ${debian}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR} ${in_package})
install(FILES examples/kube-ipvs.service DESTINATION lib/systemd/system ${in_package})
install(FILES ${debian}/kube-ipvs.preset DESTINATION lib/systemd/system-preset RENAME 90-kube-ipvs.preset ${in_package})
install(FILES ${debian}/sysusers.conf DESTINATION lib/sysusers.d RENAME kube-ipvs.conf ${in_package})
install(FILES ${debian}/modules-load.conf DESTINATION lib/modules-load.d RENAME kube-ipvs.conf ${in_package})
install(FILES ${debian}/kube-ipvs.yaml DESTINATION /etc/kube-ipvs ${in_package})
install(DIRECTORY DESTINATION /etc/kube-ipvs/manifests ${in_package})
install(FILES ${debian}/lintian-overrides
        DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME kube-ipvs ${in_package})

# --- The package ---------------------------------------------------------------------------------

# The changelog has the revision, and must have an entry for this version.
file(STRINGS ${debian}/changelog entry LIMIT_COUNT 1)
string(REPLACE "." "\\." version_pattern "${PROJECT_VERSION}")
if(NOT entry MATCHES "^kube-ipvs \\(${version_pattern}-([0-9][0-9.+~a-z]*)\\)")
  message(FATAL_ERROR "packaging/debian/changelog has no entry for ${PROJECT_VERSION} at its top, but: ${entry}")
endif()
set(CPACK_DEBIAN_PACKAGE_RELEASE ${CMAKE_MATCH_1})
# It has the maintainer, too. A project without an address has one below .invalid, which nobody can register (RFC 2606).
file(STRINGS ${debian}/changelog signature LIMIT_COUNT 1 REGEX "^ -- ")
if(NOT signature MATCHES "^ -- (.+ <[^<> ]+@[^<> ]+>)  ")
  message(FATAL_ERROR "packaging/debian/changelog: the first entry has no maintainer: ${signature}")
endif()
set(maintainer ${CMAKE_MATCH_1})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kube-ipvs)
set(CPACK_PACKAGE_CONTACT ${maintainer})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${PROJECT_BINARY_DIR};kube-ipvs;Unspecified;/" "${PROJECT_BINARY_DIR};kube-ipvs;debian;/")
set(CPACK_STRIP_FILES ON)
# Not those of the umask of whoever builds it.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "IPVS Service proxy for Kubernetes and for plain hosts")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "A connection to the virtual IP of a Kubernetes Service has to reach a ready
Pod. kube-ipvs sets up the kernel of a node for that, with IPVS and one
nftables table. It takes the place of kube-proxy's ipvs mode, with its flags
and its configuration file.
.
Without a cluster it is a layer 4 load balancer that is driven by a directory
of YAML files.
.
The service is neither enabled nor started by the installation.")
# What the program is linked with; and what makes the user that it runs as.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
# The kernel runs modprobe when it needs a module.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "kmod")
# To look at what is set up; and iptables-legacy, with which chains of kube-proxy are removed.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "ipvsadm, iptables, nftables")
file(WRITE ${PROJECT_BINARY_DIR}/compressed/conffiles "/etc/kube-ipvs/kube-ipvs.yaml\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${debian}/postinst ${debian}/prerm ${debian}/postrm ${PROJECT_BINARY_DIR}/compressed/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

include(CPack)
