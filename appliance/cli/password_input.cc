#include "appliance/cli/password_input.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "base/error.h"
#include "base/private_file.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr size_t kMaxPasswordFile = 4096;  // bytes

// Does not show what is typed until it is destroyed.
class HiddenTyping {
 public:
  HiddenTyping() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  ~HiddenTyping() {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    fmt::print(stderr, "\n");
  }
  HiddenTyping(const HiddenTyping&) = delete;
  HiddenTyping& operator=(const HiddenTyping&) = delete;

 private:
  termios before_{};
};

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string line_of_input() {
  std::string line;
  std::getline(std::cin, line);
  return first_line(line);
}

std::string ask(const char* question) {
  fmt::print(stderr, "{}: ", question);
  HiddenTyping hidden;
  return line_of_input();
}

}  // namespace

void declare_password(base::options::options_description_easy_init add) {
  add("password-file", value<std::string>()->value_name("FILE"),
      "file with the password in its first line; - is standard input (default: it is asked)");
}

std::string read_new_password(const base::Arguments& arguments) {
  std::string file = arguments.get_or<std::string>("password-file", "");
  if (file == "-") return line_of_input();
  if (!file.empty()) return first_line(base::read_private_file(file, kMaxPasswordFile));
  if (::isatty(STDIN_FILENO) == 0)
    throw base::Error(base::ErrorCode::invalid_argument,
                      "there is no terminal to ask for the password; give --password-file FILE");
  std::string password = ask("New password");
  if (ask("Once more") != password)
    throw base::Error(base::ErrorCode::invalid_argument, "the two passwords differ; try again");
  return password;
}

}  // namespace appliance::cli
