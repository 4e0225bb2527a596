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

# kube_ipvs_room(FOLDER [EXCLUDE FILE...]): one static library for one folder.
function(kube_ipvs_room folder)
  cmake_parse_arguments(PARSE_ARGV 1 room "" "" "EXCLUDE")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  foreach(file IN LISTS room_EXCLUDE)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/${file})
  endforeach()
  add_library(kube_ipvs_${folder} STATIC ${sources})
  target_link_libraries(kube_ipvs_${folder} PRIVATE kube_ipvs_options)
endfunction()
