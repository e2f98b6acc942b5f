# Compile options shared by every target: warnings are errors, sanitizers on request.
add_library(muletto_options INTERFACE)
target_include_directories(muletto_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(muletto_options INTERFACE MULETTO_VERSION="${PROJECT_VERSION}")
# Without missing-field-initializers: leaving a member out of {.name = …} means its default here.
target_compile_options(muletto_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast
  -Wno-missing-field-initializers)
if(MULETTO_SANITIZE)
  target_compile_options(muletto_options INTERFACE -fsanitize=${MULETTO_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(muletto_options INTERFACE -fsanitize=${MULETTO_SANITIZE})
  if(MULETTO_SANITIZE MATCHES undefined AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
    # Clang 14 cannot emit this one's data for coroutines ("difference across sections").
    target_compile_options(muletto_options INTERFACE -fno-sanitize=function)
  endif()
  if(MULETTO_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # Boost.Asio has atomic_thread_fence, which GCC's thread sanitizer does not see through.
    target_compile_options(muletto_options INTERFACE -Wno-tsan)
  endif()
  if(MULETTO_SANITIZE MATCHES address AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 with the address sanitizer reports false errors in the frames of coroutines and in Boost's optionals.
    target_compile_options(muletto_options INTERFACE -Wno-mismatched-new-delete -Wno-maybe-uninitialized)
  endif()
endif()

# A build from nothing may compile sources in groups (-DCMAKE_UNITY_BUILD=ON; scripts/demo and scripts/test do
# so in a new build folder): docs/decisions/precompiled-headers.md. Names in the unnamed namespaces of a group
# must differ. Sources for which they do not are compiled by themselves: APART lists them, or ALL.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC takes a source that is included for a header, and warns of unnamed namespaces in it.
  target_compile_options(muletto_options INTERFACE -Wno-subobject-linkage)
endif()

# muletto_library(name SOURCES... [APART sources...|ALL] PUBLIC deps... PRIVATE deps...): one static library per
# directory.
function(muletto_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;APART;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  if(ARG_APART STREQUAL ALL)
    set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  else()
    set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  target_link_libraries(${name} PUBLIC muletto_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  precompile_headers_of(${name})
endfunction()

# Everything that is installed, and no tests.
add_custom_target(programs)

# Manual pages and completion scripts, which the programs themselves write.
set(MULETTO_SHARE ${CMAKE_BINARY_DIR}/share)
install(DIRECTORY ${MULETTO_SHARE}/ DESTINATION share)

# What programs run and people do not is installed apart: nbdkit's plugin, the sandbox, the parser.
set(MULETTO_HELPERS lib/muletto)

# muletto_program(name [DOCUMENTED|HELPER] SOURCES... LIBRARIES...): a program in build/bin, named as the user
# types it. A documented one is described by base::Program; a helper is only run by other programs.
function(muletto_program name)
  cmake_parse_arguments(ARG "DOCUMENTED;HELPER" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE muletto_options ${ARG_LIBRARIES})
  precompile_headers_of(${name})
  if(ARG_HELPER)
    install(TARGETS ${name} RUNTIME DESTINATION ${MULETTO_HELPERS})
  else()
    install(TARGETS ${name} RUNTIME DESTINATION bin)
  endif()
  add_dependencies(programs ${name})
  if(ARG_DOCUMENTED)
    add_custom_command(OUTPUT ${MULETTO_SHARE}/bash-completion/completions/${name}
      COMMAND ${name} __documents ${MULETTO_SHARE} DEPENDS ${name}
      COMMENT "Manual pages and completion of ${name}" VERBATIM)
    add_custom_target(${name}-documents ALL DEPENDS ${MULETTO_SHARE}/bash-completion/completions/${name})
    add_dependencies(programs ${name}-documents)
  endif()
endfunction()

# muletto_unit(file): a unit of systemd that starts a program of the folder bin/, wherever that is installed.
function(muletto_unit file)
  get_filename_component(name ${file} NAME)
  set(unit ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  install(CODE "
    get_filename_component(prefix \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
    set(place \"\${prefix}/lib/systemd/system/${name}\")
    message(STATUS \"Installing: \$ENV{DESTDIR}\${place}\")
    file(READ \"${unit}\" text)
    string(REPLACE \"=/usr/bin/\" \"=\${prefix}/bin/\" text \"\${text}\")
    file(WRITE \"\$ENV{DESTDIR}\${place}\" \"\${text}\")
    file(CHMOD \"\$ENV{DESTDIR}\${place}\" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)")
endfunction()
