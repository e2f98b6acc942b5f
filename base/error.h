// Operational failures: one exception type with a closed set of codes.
//
// The lowest layer that knows the cause picks the code; callers only add context. Only edges catch:
// one NBD request, one API request, one session, one job, main. Bugs are not errors: see check.h.
// Thread-safe: values only.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace base {

enum class ErrorCode {
  invalid_argument,  // bad input: usage, a name, a malformed request
  not_found,         // the named thing does not exist
  already_exists,    // the thing to be created exists
  corrupt,           // bytes on disk or on the wire are not what they must be
  io,                // a device, file or socket failed
  no_space,          // a disk or a quota is full
  busy,              // held by someone else; a retry may succeed
  unsupported,       // understood, but not possible here
  unauthorized,      // wrong key, token, certificate, or missing right
  unavailable,       // a peer or service does not answer
  cancelled,         // asked to stop
};

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

  // The same error with the prefix "CONTEXT: ".
  Error with_context(std::string_view context) const;

 private:
  ErrorCode code_;
  std::string message_;
};

// "invalid_argument", "not_found", …: the names used in JSON and logs.
std::string_view error_code_name(ErrorCode code);

// The code of that name; `io` for a name this version does not know.
ErrorCode error_code_from_name(std::string_view name);

// An Error for a failed system call: ENOENT is not_found, ENOSPC and EDQUOT no_space, and so on.
// `action` is a phrase such as "cannot open /x/y"; the system's reason is appended.
Error system_error(int error_number, std::string_view action);

// What a program's main() returns for an error: 2 for invalid_argument and unsupported, 3
// not_found, 4 busy or already_exists, 5 unauthorized, 6 unavailable, 7 no_space, 8 corrupt, 130
// cancelled, else 1.
int exit_code(ErrorCode code);

}  // namespace base
