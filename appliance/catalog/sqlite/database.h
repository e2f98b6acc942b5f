// The database of the catalog: statements, transactions, and the few forms of SQL that differ
// between databases (insert or overwrite, the id of a new row, JSON); other statements use only
// common SQL. Schema and migrations: schema.h. Failures are base::Error. Not thread-safe: a
// Connection's lock protects it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "appliance/access/tenant_scope.h"
#include "base/bytes.h"
#include "base/guarded.h"

struct sqlite3;
struct sqlite3_stmt;

namespace appliance::catalog::sqlite {

// One prepared statement: bind all parameters in order, then step through its rows.
class Statement {
 public:
  Statement(sqlite3* connection, std::string_view sql);

  template <typename... Values>
  Statement& bind(const Values&... values) {
    int place = 0;
    (bind_one(++place, values), ...);
    return *this;
  }
  // True if there is a row (another row), false at the end. Throws no_space, corrupt,
  // already_exists (a constraint is violated), busy, io.
  bool step();
  // For statements without rows.
  void run();
  // For Database::insert(): runs it, and returns the id of the new row.
  int64_t run_for_id();

  // Columns of the current row, numbered from 0.
  int64_t integer(int column) const;
  uint64_t natural(int column) const { return static_cast<uint64_t>(integer(column)); }
  std::string text(int column) const;
  base::Bytes blob(int column) const;
  bool is_null(int column) const;

 private:
  void bind_one(int place, std::string_view text);
  void bind_one(int place, base::ByteView blob);
  void bind_one(int place, std::nullopt_t);
  void bind_integer(int place, int64_t value);
  template <typename T>
  requires std::is_integral_v<T>
  void bind_one(int place, T value) { bind_integer(place, static_cast<int64_t>(value)); }
  template <typename T>
  void bind_one(int place, const std::optional<T>& value) {
    if (value) {
      bind_one(place, *value);
    } else {
      bind_one(place, std::nullopt);
    }
  }

  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* connection_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

using Columns = std::initializer_list<std::string_view>;

class Database {
 public:
  // Opens or creates the file: WAL, synchronous FULL (a committed change survives power loss),
  // foreign keys.
  explicit Database(const std::string& path);

  Statement prepare(std::string_view sql) { return Statement(connection_.get(), sql); }
  // Statements without parameters and rows, separated by semicolons.
  void execute(const std::string& sql);
  // Rows the last statement changed.
  int64_t changed_rows() const;

  // Adds a row to a table whose column `id` the database numbers: for run_for_id().
  Statement insert(std::string_view table, Columns columns);
  // Writes a row; one with the same key is overwritten. Bind the key's values, then the others.
  Statement upsert(std::string_view table, Columns key, Columns others);
  // Like upsert(), but an existing row with the same key is left as it is: see changed_rows().
  Statement insert_if_absent(std::string_view table, Columns key, Columns others);
  // An expression: the first member of the JSON array in that column, or ''.
  static std::string first_of_array(std::string_view column);

 private:
  struct Closer {
    void operator()(sqlite3* connection) const;
  };
  std::unique_ptr<sqlite3, Closer> connection_;
};

// All or nothing: rolled back when destroyed without commit().
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {
    database_.execute("BEGIN IMMEDIATE");
  }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

// One connection behind one lock, which is held across SQLite's I/O because SQLite allows one
// writer anyway and every call is short.
using Connection = base::Guarded<std::unique_ptr<Database>>;

// The number of the tenant of that name. Throws not_found.
int64_t tenant_id(Database& database, std::string_view name);

// For "?1 IS NULL OR tenants.name = ?1". No tenant has an empty name: that is how nobody's scope
// finds nothing. Throws not_found for a tenant that does not exist.
std::optional<std::string> tenant_filter(Database& database, const access::TenantScope& scope);

}  // namespace appliance::catalog::sqlite
