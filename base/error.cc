#include "base/error.h"

#include <cerrno>
#include <system_error>

#include "base/enum_names.h"

namespace base {
namespace {

constexpr auto kNames =
    enum_names<ErrorCode>("an error code", {{ErrorCode::invalid_argument, "invalid_argument"},
                                            {ErrorCode::not_found, "not_found"},
                                            {ErrorCode::already_exists, "already_exists"},
                                            {ErrorCode::corrupt, "corrupt"},
                                            {ErrorCode::io, "io"},
                                            {ErrorCode::no_space, "no_space"},
                                            {ErrorCode::busy, "busy"},
                                            {ErrorCode::unsupported, "unsupported"},
                                            {ErrorCode::unauthorized, "unauthorized"},
                                            {ErrorCode::unavailable, "unavailable"},
                                            {ErrorCode::cancelled, "cancelled"}});

ErrorCode code_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return ErrorCode::not_found;
    case EEXIST: return ErrorCode::already_exists;
    case ENOSPC:
    case EDQUOT: return ErrorCode::no_space;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE: return ErrorCode::busy;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::unauthorized;
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG: return ErrorCode::invalid_argument;
    case ENOTSUP:
    case ENOSYS: return ErrorCode::unsupported;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:
    case EPIPE: return ErrorCode::unavailable;
    case ECANCELED: return ErrorCode::cancelled;
    default: return ErrorCode::io;
  }
}

}  // namespace

Error Error::with_context(std::string_view context) const {
  return Error(code_, std::string(context) + ": " + message_);
}

std::string_view error_code_name(ErrorCode code) { return kNames.name(code); }

ErrorCode error_code_from_name(std::string_view name) {
  return kNames.find(name).value_or(ErrorCode::io);
}

Error system_error(int error_number, std::string_view action) {
  std::string reason = std::generic_category().message(error_number);
  return Error(code_of_errno(error_number), std::string(action) + ": " + reason);
}

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported: return 2;
    case ErrorCode::not_found: return 3;
    case ErrorCode::busy:
    case ErrorCode::already_exists: return 4;
    case ErrorCode::unauthorized: return 5;
    case ErrorCode::unavailable: return 6;
    case ErrorCode::no_space: return 7;
    case ErrorCode::corrupt: return 8;
    case ErrorCode::cancelled: return 130;
    case ErrorCode::io: return 1;
  }
  return 1;
}

}  // namespace base
