#include "appliance/catalog/catalog_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "appliance/catalog/sqlite/database.h"
#include "appliance/catalog/sqlite/schema.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/unique_fd.h"

namespace appliance::catalog {
namespace {

void require_file(const std::string& path) {
  if (!base::real_file_system().exists(path))
    throw base::Error(base::ErrorCode::not_found, "there is no catalog " + path);
}

int version_of(sqlite::Database& database) {
  sqlite::Statement version = database.prepare("PRAGMA user_version");
  return version.step() ? static_cast<int>(version.integer(0)) : 0;
}

}  // namespace

void copy_catalog(const std::string& from, const std::string& to) {
  require_file(from);
  // SQLite writes into an empty file, whose mode is then ours.
  base::UniqueFd fd(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) throw base::system_error(errno, "cannot make " + to);
  try {
    sqlite::Database database(from);
    database.prepare("VACUUM INTO ?").bind(std::string_view(to)).run();
    if (::fsync(fd.get()) != 0) throw base::system_error(errno, "cannot make durable " + to);
    base::real_file_system().sync_directory(base::parent_path(to));
  } catch (const base::Error&) {
    ::unlink(to.c_str());
    throw;
  }
}

int catalog_version(const std::string& path) {
  require_file(path);
  sqlite::Database database(path);
  return version_of(database);
}

int newest_catalog_version() { return sqlite::schema_version(); }

}  // namespace appliance::catalog
