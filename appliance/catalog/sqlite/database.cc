#include "appliance/catalog/sqlite/database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sqlite3.h>

#include <cerrno>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 5000;

base::ErrorCode code_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_FULL: return base::ErrorCode::no_space;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return base::ErrorCode::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return base::ErrorCode::busy;
    case SQLITE_CONSTRAINT: return base::ErrorCode::already_exists;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return base::ErrorCode::unauthorized;
    default: return base::ErrorCode::io;
  }
}

[[noreturn]] void fail(sqlite3* connection, int result) {
  const char* path = connection != nullptr ? sqlite3_db_filename(connection, "main") : nullptr;
  const char* reason = connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(result);
  throw base::Error(code_of(result),
                    fmt::format("catalog {}: {}", path != nullptr ? path : "", reason));
}

void require_ok(sqlite3* connection, int result) {
  if (result != SQLITE_OK) fail(connection, result);
}

std::string insertion(std::string_view table, Columns key, Columns others) {
  std::string names, places;
  for (Columns columns : {key, others}) {
    for (std::string_view column : columns) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", column);
      places += places.empty() ? "?" : ", ?";
    }
  }
  return fmt::format("INSERT INTO {}({}) VALUES ({})", table, names, places);
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement::Statement(sqlite3* connection, std::string_view sql) : connection_(connection) {
  sqlite3_stmt* statement = nullptr;
  require_ok(connection, sqlite3_prepare_v2(connection, sql.data(), static_cast<int>(sql.size()),
                                            &statement, nullptr));
  statement_.reset(statement);
}

bool Statement::step() {
  int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) fail(connection_, result);
  return false;
}

void Statement::run() {
  while (step()) {
  }
}

// The row is committed by the last step.
int64_t Statement::run_for_id() {
  CHECK(step());
  int64_t id = integer(0);
  run();
  return id;
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text), size);
}

base::Bytes Statement::blob(int column) const {
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? base::Bytes() : base::Bytes(bytes, bytes + size);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

// SQLITE_TRANSIENT: the bytes are copied, so that a caller may bind temporaries.
void Statement::bind_one(int place, std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();
  require_ok(connection_, sqlite3_bind_text64(statement_.get(), place, data, text.size(),
                                              SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind_one(int place, base::ByteView blob) {
  require_ok(connection_, sqlite3_bind_blob64(statement_.get(), place, blob.data(), blob.size(),
                                              SQLITE_TRANSIENT));
}

void Statement::bind_one(int place, std::nullopt_t) {
  require_ok(connection_, sqlite3_bind_null(statement_.get(), place));
}

void Statement::bind_integer(int place, int64_t value) {
  require_ok(connection_, sqlite3_bind_int64(statement_.get(), place, value));
}

void Database::Closer::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Database::Database(const std::string& path) {
  // Readable by the owner alone from its first byte; SQLite gives its -wal and -shm files the same
  // mode. A file that is there is left to SQLite: closing it here would end all locks that other
  // connections of this process have on it, and another process could take their WAL away.
  base::UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made && errno != EEXIST) throw base::system_error(errno, "cannot open the catalog " + path);
  made.reset();
  sqlite3* connection = nullptr;
  int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int result = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  connection_.reset(connection);
  if (result != SQLITE_OK) {
    throw base::Error(
        code_of(result),
        fmt::format("cannot open the catalog {}: {}", path,
                    connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(result)));
  }
  sqlite3_busy_timeout(connection, kBusyTimeoutMs);
  execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
}

void Database::execute(const std::string& sql) {
  require_ok(connection_.get(),
             sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr));
}

int64_t Database::changed_rows() const { return sqlite3_changes64(connection_.get()); }

Statement Database::insert(std::string_view table, Columns columns) {
  return prepare(insertion(table, columns, {}) + " RETURNING id");
}

Statement Database::upsert(std::string_view table, Columns key, Columns others) {
  std::string changes;
  for (std::string_view column : others)
    changes += fmt::format("{}{} = excluded.{}", changes.empty() ? "" : ", ", column, column);
  return prepare(fmt::format("{} ON CONFLICT({}) DO UPDATE SET {}", insertion(table, key, others),
                             fmt::join(key, ", "), changes));
}

Statement Database::insert_if_absent(std::string_view table, Columns key, Columns others) {
  return prepare(fmt::format("{} ON CONFLICT({}) DO NOTHING", insertion(table, key, others),
                             fmt::join(key, ", ")));
}

std::string Database::first_of_array(std::string_view column) {
  return fmt::format("coalesce(json_extract({}, '$[0]'), '')", column);
}

int64_t tenant_id(Database& database, std::string_view name) {
  Statement statement = database.prepare("SELECT id FROM tenants WHERE name = ?");
  statement.bind(name);
  if (!statement.step()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no tenant '{}'", name.substr(0, 255)));
  }
  return statement.integer(0);
}

std::optional<std::string> tenant_filter(Database& database, const access::TenantScope& scope) {
  if (scope.is_all()) return std::nullopt;
  std::optional<access::TenantName> only = scope.only();
  if (!only) return "";
  tenant_id(database, *only);  // throws not_found
  return only->text();
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const base::Error& error) {
    // SQLite has rolled back by itself after some failures; then there is nothing left to undo.
    base::log().debug("catalog: rollback: {}", error.message());
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace appliance::catalog::sqlite
