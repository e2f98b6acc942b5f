#include "appliance/people/setup_code.h"

#include "appliance/people/totp.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/text.h"

namespace appliance::people {
namespace {

constexpr size_t kGroups = 4;  // 80 bits
constexpr size_t kMaxFile = 256;

}  // namespace

std::optional<std::string> find_setup_code(const std::string& path) {
  try {
    std::string code = base::trim(base::read_private_file(path, kMaxFile));
    if (!code.empty()) return code;
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::not_found) throw;
  }
  return std::nullopt;
}

void settle_setup_code(catalog::PeopleRecords& people, const std::string& path) {
  if (!people.has_users()) {
    if (!find_setup_code(path)) base::write_private_file(path, make_code(kGroups) + "\n");
    return;
  }
  base::FileSystem& files = base::real_file_system();
  if (!files.exists(path)) return;
  files.remove(path);
  files.sync_directory(base::parent_path(path));
}

bool is_setup_code(const std::string& path, std::string_view code) {
  auto expected = find_setup_code(path);
  return expected && base::equal_in_constant_time(hash_code(*expected), hash_code(code));
}

}  // namespace appliance::people
