// A program's manual pages, made from its description: roff text for man(7), which man-db and mandoc
// render. A program whose commands have two words ("boot start") gets a page for each first word
// (muletto-boot), as git has one for each command; all others are one page. Where `see_also` names a
// program that is called like such a page, the page is NAME-commands. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/program.h"

namespace base {

struct ManualPage {
  std::string file;  // "man1/muletto-boot.1"
  std::string text;
};

// `date` is "2026-11-28": of the build, shown at the foot of each page.
std::vector<ManualPage> manual_pages(const Program& program, const std::string& date);

}  // namespace base
