# SPDX-License-Identifier: Apache-2.0
# A build for arm64 on another machine, with Debian's g++-aarch64-linux-gnu, the libraries that packaging/image/sysroot
# has unpacked, and qemu-user for the tests:
#
#   packaging/image/sysroot arm64 build/sysroot-arm64
#   cmake --preset release -B build/arm64 --toolchain cmake/arm64.cmake -DCMAKE_SYSROOT=$PWD/build/sysroot-arm64
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CMAKE_SYSROOT)
if(NOT EXISTS ${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  message(FATAL_ERROR "CMAKE_SYSROOT is \"${CMAKE_SYSROOT}\", which has no headers for arm64: packaging/image/sysroot makes it")
endif()
set(CMAKE_FIND_ROOT_PATH ${CMAKE_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_LIBDIR}
    ${CMAKE_SYSROOT}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${CMAKE_SYSROOT})
# The place of these libraries does not show in the result.
add_compile_options(-ffile-prefix-map=${CMAKE_SYSROOT}=)
