# SPDX-License-Identifier: Apache-2.0

# How everything of ours is compiled.
add_library(kube_ipvs_options INTERFACE)
target_compile_features(kube_ipvs_options INTERFACE cxx_std_20)
target_include_directories(kube_ipvs_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(kube_ipvs_options INTERFACE KUBE_IPVS_VERSION="${PROJECT_VERSION}")
target_compile_options(kube_ipvs_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wimplicit-fallthrough -Wcast-align -Wno-missing-field-initializers
  # GCC 12 sees overlaps in std::string (bug 105651) and wrong frees of coroutine frames that are not there.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-free-nonheap-object>
  $<$<BOOL:${KUBE_IPVS_WERROR}>:-Werror>)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(KUBE_IPVS_SANITIZE)
  add_compile_options(-fsanitize=${KUBE_IPVS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KUBE_IPVS_SANITIZE})
  if(KUBE_IPVS_SANITIZE MATCHES "thread")
    # Asio's fences (its thread pools) are not seen by TSan, which GCC says at each; the mutexes
    # beside them are.
    add_compile_options(-Wno-tsan)
  endif()
  if(KUBE_IPVS_SANITIZE MATCHES "address")
    # Coroutine frames come from the heap, so that a use after free of one is seen.
    add_compile_definitions(BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
  endif()
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # The inode cache: a precompiled header has 200 MB, and is else read for its hash at every source.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_INODECACHE=1 ${CCACHE})
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endif()

# The heavy headers, parsed once for every module that says HEAVY.
add_library(kube_ipvs_precompiled OBJECT cmake/precompiled.cpp)
target_link_libraries(kube_ipvs_precompiled PRIVATE kube_ipvs_options beast Boost::json)
target_precompile_headers(kube_ipvs_precompiled PRIVATE cmake/precompiled.hpp)

# Compiler options for the code that runs for every object and for every message to the kernel.
set(KUBE_IPVS_HOT_OPTIONS "" CACHE STRING "Compiler options for the code that runs for every object")
function(kube_ipvs_hot)
  if(KUBE_IPVS_HOT_OPTIONS)
    set_source_files_properties(${ARGN} PROPERTIES
      COMPILE_OPTIONS "${KUBE_IPVS_HOT_OPTIONS}" SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

# Reads the includes of every module at each build (a tenth of a second), and fails it where one is not allowed.
find_program(PYTHON3 python3)
add_custom_target(kube_ipvs_modules_checked)
if(PYTHON3)
  add_custom_command(TARGET kube_ipvs_modules_checked POST_BUILD VERBATIM
    COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/test/lib/modules --quiet ${PROJECT_SOURCE_DIR})
endif()

# kube_ipvs_module(FOLDER [HEAVY] [HOT [FILE...]] [USES FOLDER...] [LIBRARIES PUBLIC|PRIVATE TARGET...])
#
# One static library for the sources of one folder, without its subfolders.
#   HEAVY      it uses the precompiled headers, and with them Asio, Beast and Boost.JSON
#   HOT        these of its files, or all of them, are compiled with KUBE_IPVS_HOT_OPTIONS
#   USES       the folders whose headers it may include, each declared before it: so there can be no circle.
#              test/lib/modules reads these lines and fails the build where an include is not allowed by them.
function(kube_ipvs_module folder)
  cmake_parse_arguments(PARSE_ARGV 1 module "HEAVY" "" "HOT;USES;LIBRARIES")
  string(REPLACE "/" "_" name kube_ipvs_${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/agent/main.cpp)
  set(uses "")
  foreach(used IN LISTS module_USES)
    string(REPLACE "/" "_" used kube_ipvs_${used})
    if(NOT TARGET ${used})
      message(FATAL_ERROR "${folder} uses ${used}, which is not declared before it")
    endif()
    list(APPEND uses ${used})
  endforeach()
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC ${uses} Boost::headers PRIVATE kube_ipvs_options ${module_LIBRARIES})
    add_dependencies(${name} kube_ipvs_modules_checked)
    if(module_HEAVY)
      target_link_libraries(${name} PRIVATE beast Boost::json)
      target_precompile_headers(${name} REUSE_FROM kube_ipvs_precompiled)
    endif()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${uses} Boost::headers)
  endif()
  list(TRANSFORM module_HOT PREPEND ${folder}/)
  if(module_HOT)
    file(GLOB hot CONFIGURE_DEPENDS ${module_HOT})
    kube_ipvs_hot(${hot})
  endif()
endfunction()
