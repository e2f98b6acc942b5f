// Tables for people: columns aligned by their width on a terminal, not by bytes. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::cli {

enum class Align { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells);  // as many as there are columns
  // With a header line; prints `when_empty` instead if there are no rows.
  void print(std::string_view when_empty) const;
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "Name:    value" lines with aligned values.
class Sheet {
 public:
  void add(std::string name, std::string value);
  void print() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// The number of cells on a terminal: wide characters take two, combining ones none.
size_t display_width(std::string_view text);

// Without control characters: text from outside must not control the terminal.
std::string printable(std::string_view text);

}  // namespace appliance::cli
