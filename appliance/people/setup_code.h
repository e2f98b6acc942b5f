// The code with which the first owner is made, on an appliance that has no user yet. It is in a file
// that only root can read, so whoever knows it is root, or was told by root. Functions are
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "appliance/catalog/people_records.h"

namespace appliance::people {

// At the daemon's start: while there is no user, there is a code in the file `path` (a new one, or the
// one that is there); afterwards there is no file. Durable when it returns.
void settle_setup_code(catalog::PeopleRecords& people, const std::string& path);
// None: there are users, so there is no code.
std::optional<std::string> find_setup_code(const std::string& path);
// In constant time; spaces, dashes and capitals make no difference. False without a code.
bool is_setup_code(const std::string& path, std::string_view code);

}  // namespace appliance::people
