// The few SQLite calls the catalog needs, with base::Error for failures. Only appliance/catalog
// includes this. Not thread-safe; the Catalog's lock sees to that.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/bytes.h"

struct sqlite3;
struct sqlite3_stmt;

namespace appliance::catalog {

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

class Database {
 public:
  // Opens or makes the file: WAL, synchronous FULL (a committed change survives power loss),
  // foreign keys.
  explicit Database(const std::string& path);

  Statement prepare(std::string_view sql) { return Statement(connection_.get(), sql); }
  // Statements without parameters and rows, separated by semicolons.
  void execute(const std::string& sql);
  int64_t last_row_id() const;
  // Rows the last statement changed.
  int64_t changed_rows() const;

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

}  // namespace appliance::catalog
