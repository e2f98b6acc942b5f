// Files with secrets, and folders that contain them. Functions are thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Writes `text` as `path`, all or nothing, readable only by the owner (mode 0600) from its first
// byte. Durable when it returns. Replaces an existing file. Throws what system_error() makes of the
// failure.
void write_private_file(const std::string& path, std::string_view text);

// Creates a folder that only its owner may enter (mode 0700), and its missing parents (mode 0755).
// Durable when it returns. An existing one is left as it is.
void make_private_directory(const std::string& path);

// Creates a folder that others may pass through but not list (mode 0711), and its missing parents
// likewise, whatever the umask is. An existing one is left as it is.
void make_passable_directory(const std::string& path);

// Returns the whole file. Throws not_found, unauthorized, and corrupt if it is larger than `limit`
// bytes.
std::string read_private_file(const std::string& path, size_t limit);

}  // namespace base
