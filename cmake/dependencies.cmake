# SPDX-License-Identifier: Apache-2.0
# Every library we use, found once. Versions are those of Debian 12.
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS headers json)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB 1.2.11 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)  # Debian packages 1.0.1, without a version file
find_package(PkgConfig REQUIRED)
pkg_check_modules(libnl REQUIRED IMPORTED_TARGET
  libnl-3.0>=3.7 libnl-genl-3.0)

pkg_check_modules(ldns REQUIRED IMPORTED_TARGET ldns>=1.8)

# Header-only, and packaged without a file for CMake.
find_path(PROTOZERO_INCLUDE protozero/version.hpp REQUIRED)
add_library(protozero INTERFACE)
target_include_directories(protozero SYSTEM INTERFACE ${PROTOZERO_INCLUDE})

# Asio and Beast compiled once, instead of in every file that uses them.
add_library(beast STATIC cmake/beast.cpp)
target_compile_definitions(beast PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_compile_features(beast PUBLIC cxx_std_20)
target_link_libraries(beast PUBLIC Boost::headers OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
