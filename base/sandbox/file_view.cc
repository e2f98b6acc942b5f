#include "base/sandbox/file_view.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/confinement.h"
#include "base/sandbox/options.h"

namespace base::sandbox {
namespace {

struct Device {
  const char* path;
  int mount = -1;
};

void mount_tmpfs(const char* path, unsigned long flags, const char* options) {
  if (::mount("tmpfs", path, "tmpfs", MS_NOSUID | flags, options) != 0)
    give_up(std::string("cannot empty ") + path);
}

void set_writable(const char* path) {
  mount_attr attributes{};
  attributes.attr_clr = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, path, 0, &attributes, sizeof attributes) != 0)
    give_up(std::string("cannot leave writable ") + path);
}

// The devices that every program may need, and nothing else.
void arrange_devices() {
  std::array<Device, 5> devices{
      {{"/dev/null"}, {"/dev/zero"}, {"/dev/full"}, {"/dev/random"}, {"/dev/urandom"}}};
  for (Device& each : devices) {
    each.mount = ::open_tree(AT_FDCWD, each.path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    expect(each.mount, each.path);
  }
  mount_tmpfs("/dev", MS_NOEXEC, "size=64k,mode=755");
  for (Device& each : devices) {
    int place = ::open(each.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    expect(place, each.path);
    ::close(place);
    expect(::move_mount(each.mount, "", AT_FDCWD, each.path, MOVE_MOUNT_F_EMPTY_PATH), each.path);
    ::close(each.mount);
  }
}

}  // namespace

int take_folder(const std::string& path) {
  if (path.empty()) return -1;
  int folder = ::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (folder < 0) give_up("cannot show the folder " + path);
  return folder;
}

void arrange_files(int folder, const std::string& writable_path) {
  expect(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "cannot separate the mounts");
  expect(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
         "cannot mount /proc");
  arrange_devices();
  mount_tmpfs("/run", MS_NODEV | MS_NOEXEC, "size=64k,mode=755");
  mount_tmpfs("/tmp", MS_NODEV, "size=64m,mode=1777");
  if (folder >= 0) {
    expect(::move_mount(folder, "", AT_FDCWD, kConfinedPlace, MOVE_MOUNT_F_EMPTY_PATH),
           kConfinedPlace);
    ::close(folder);
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  expect(::mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes),
         "cannot make the file systems read-only");
  set_writable("/tmp");
  if (!writable_path.empty()) set_writable(writable_path.c_str());
}

}  // namespace base::sandbox
