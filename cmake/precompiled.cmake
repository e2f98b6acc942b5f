# One precompiled header for all libraries and programs, one for the tests: parsing these headers was two
# thirds of the time to build. Sources still include what they use; -DMULETTO_PRECOMPILED=OFF builds
# without it, which shows an include that is missing.
option(MULETTO_PRECOMPILED "parse common headers once" ON)

# Programs and libraries are compiled alike, so that one precompiled header fits both.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE ${CMAKE_CXX_COMPILE_OPTIONS_PIC})

set(muletto_common_headers
  <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint> <cstring> <filesystem>
  <fstream> <functional> <map> <memory> <mutex> <optional> <set> <span> <sstream> <stop_token> <string>
  <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <boost/program_options/options_description.hpp> <boost/program_options/parsers.hpp>
  <boost/program_options/positional_options.hpp> <boost/program_options/variables_map.hpp>
  <fmt/format.h> <nlohmann/json.hpp> <spdlog/logger.h>)

# muletto_precompiled_library(name HEADERS LIBRARIES...): a target whose precompiled header others reuse.
function(muletto_precompiled_library name)
  cmake_parse_arguments(ARG "" "" "HEADERS;LIBRARIES" ${ARGN})
  add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/cmake/precompiled.cc)
  target_link_libraries(${name} PRIVATE muletto_options ${ARG_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()

if(MULETTO_PRECOMPILED)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 warns of its own std::string ("forming offset 32 is out of the bounds") once that was precompiled.
    target_compile_options(muletto_options INTERFACE
      -fpch-preprocess -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict)
  else()
    # Without the time, the same header makes the same file, which a compiler cache finds again.
    target_compile_options(muletto_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  muletto_precompiled_library(muletto_precompiled HEADERS ${muletto_common_headers}
    LIBRARIES Boost::headers Boost::program_options fmt::fmt nlohmann_json::nlohmann_json spdlog::spdlog)
endif()

# precompile_headers_of(target [library]): the target reuses that library's precompiled header.
function(precompile_headers_of target)
  set(from muletto_precompiled)
  if(ARGC GREATER 1)
    set(from ${ARGV1})
  endif()
  if(MULETTO_PRECOMPILED)
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()
