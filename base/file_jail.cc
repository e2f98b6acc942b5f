#include "base/file_jail.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <system_error>

namespace base {
namespace {

// The system's own programs and libraries: links on a merged /usr, folders on other systems.
constexpr std::array<const char*, 6> kSystemFolders{"/usr", "/bin",   "/sbin",
                                                    "/lib", "/lib64", "/lib32"};
// Where the new root is mounted until it becomes the root. This folder exists everywhere.
constexpr char kStage[] = "/tmp";

// User ids that no distribution and no systemd assigns (systemd, docs/UIDS-GIDS.md); one for each
// starter.
constexpr uid_t kFirstUser = 0x70000000;
constexpr uid_t kUserCount = 1u << 22;

constexpr rlim_t kOpenFiles = 4096;
constexpr rlim_t kFileSize = 1u << 20;  // bytes: how much it may add to its log

// File systems whose server, or whose owner's process, decides who may read.
bool is_judged_elsewhere(int fd) {
  constexpr std::array<uint32_t, 8> kRemote{
      0x6969,      // NFS
      0x517b,      // SMB
      0xff534d42,  // CIFS
      0xfe534d42,  // SMB 2
      0x65735546,  // FUSE
      0x00c36400,  // Ceph
      0x01021997,  // 9P
      0x5346414f,  // AFS
  };
  struct statfs status;
  if (::fstatfs(fd, &status) != 0) return false;
  auto type = static_cast<uint32_t>(status.f_type);
  return std::find(kRemote.begin(), kRemote.end(), type) != kRemote.end();
}

// What a program that only reads files never needs, and what could lead out of the jail or into the
// kernel.
constexpr std::array kForbiddenCalls{
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsmount,
    SYS_mount_setattr,
    SYS_pidfd_getfd,
};

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// System calls numbered for another architecture end the process; forbidden ones fail with EPERM.
bool forbid_calls() noexcept {
  if (kArchitecture == 0) return true;
  constexpr size_t kHead = 4, kMaxLength = kHead + 2 * kForbiddenCalls.size() + 2;
  std::array<sock_filter, kMaxLength> program{};
  size_t length = 0;
  auto add = [&](sock_filter filter) { program[length++] = filter; };
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (long number : kForbiddenCalls) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
#if defined(__x86_64__)
  constexpr uint32_t kX32Bit = 0x40000000;  // __X32_SYSCALL_BIT
  add(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1));
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
#endif
  std::array<sock_filter, kMaxLength + 1> whole{};
  std::copy_n(program.begin(), length, whole.begin());
  whole[length++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  sock_fprog filter{static_cast<unsigned short>(length), whole.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool limit(__rlimit_resource resource, rlim_t value) noexcept {
  struct rlimit now;
  if (::getrlimit(resource, &now) != 0) return false;
  value = std::min(value, now.rlim_max);
  struct rlimit wanted {
    value, value
  };
  return ::setrlimit(resource, &wanted) == 0;
}

bool set_capabilities(uint32_t first_word) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  data[0] = {first_word, first_word, first_word};
  return ::syscall(SYS_capset, &header, data.data()) == 0;
}

// Read-only and without set-user-ID, for a mount that was just made.
bool make_read_only(const char* place) noexcept {
  struct statfs status;
  if (::statfs(place, &status) != 0) return false;
  // For a user namespace: the flags the mount had must stay. statfs and mount use the same flags
  // for all of these except the last.
  auto kept = static_cast<unsigned long>(status.f_flags) &
              (ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME);
  if ((status.f_flags & ST_RELATIME) != 0) kept |= MS_RELATIME;
  return ::mount(nullptr, place, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | kept,
                 nullptr) == 0;
}

bool write_text(const char* path, const std::string& text) noexcept {
  int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  int reason = errno;
  ::close(fd);
  errno = reason;
  return good;
}

}  // namespace

FileJail::FileJail(const std::vector<JailedFile>& files, uint64_t memory_size)
    : memory_size_(memory_size), root_(::geteuid() == 0) {
  user_ = kFirstUser + static_cast<uid_t>(::getpid()) % kUserCount;
  user_map_ = std::to_string(::geteuid()) + " " + std::to_string(::geteuid()) + " 1";
  group_map_ = std::to_string(::getegid()) + " " + std::to_string(::getegid()) + " 1";
  add_system();
  add_null_device();
  for (const JailedFile& file : files) {
    std::string place = file.place.substr(1);
    bool twice = std::any_of(steps_.begin(), steps_.end(),
                             [&](const Step& step) { return step.place == place; });
    if (twice) continue;
    add_parents(place);
    std::string descriptor = "/proc/self/fd/" + std::to_string(file.fd);
    std::error_code failed;
    sources_.push_back({file.fd, std::filesystem::read_symlink(descriptor, failed).string()});
    steps_.push_back({StepKind::make_file, place, ""});
    steps_.push_back({StepKind::bind_file, place, descriptor});
    keeps_user_ = keeps_user_ || is_judged_elsewhere(file.fd);
  }
}

void FileJail::add_system() {
  for (const char* folder : kSystemFolders) {
    std::string place = std::string(folder).substr(1);
    std::error_code failed;
    if (std::filesystem::is_symlink(folder, failed)) {
      steps_.push_back(
          {StepKind::make_link, place, std::filesystem::read_symlink(folder, failed).string()});
    } else if (std::filesystem::is_directory(folder, failed)) {
      steps_.push_back({StepKind::make_directory, place, ""});
      steps_.push_back({StepKind::bind_directory, place, folder});
    }
  }
}

// QEMU uses it to find out whether the kernel has the locks by which two programs notice that they
// use one image.
void FileJail::add_null_device() {
  steps_.push_back({StepKind::make_directory, "dev", ""});
  steps_.push_back({StepKind::make_file, "dev/null", ""});
  steps_.push_back({StepKind::bind_file, "dev/null", "/dev/null"});
}

void FileJail::add_parents(const std::string& place) {
  for (size_t slash = place.find('/'); slash != std::string::npos;
       slash = place.find('/', slash + 1)) {
    steps_.push_back({StepKind::make_directory, place.substr(0, slash), ""});
  }
}

int FileJail::clone_flags() const {
  return CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | (root_ ? 0 : CLONE_NEWUSER);
}

bool FileJail::enter() const noexcept {
  if (!root_ && !map_user()) return false;
  return build_root() && give_up_rights();
}

bool FileJail::map_user() const noexcept {
  return write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", user_map_) &&
         write_text("/proc/self/gid_map", group_map_);
}

bool FileJail::build_root() const noexcept {
  // Whatever the starter's is: another user must be able to enter the folders made here.
  ::umask(0022);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (!reopen_files()) return false;  // before the stage hides what lies below it
  if (::mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755") != 0)
    return false;
  // Its sources are named by paths of the old root, which stay right while another folder is the
  // current one.
  if (::chdir(kStage) != 0) return false;
  for (const Step& step : steps_) {
    if (!take(step)) return false;
  }
  if (!become_root()) return false;
  if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return false;
  return ::chdir("/") == 0;
}

// A descriptor belongs to the mounts it was opened among, and only mounts of the new namespace can
// be bound. So each file is opened there once more, and must be the same one.
bool FileJail::reopen_files() const noexcept {
  for (const Source& source : sources_) {
    struct stat given, found;
    int fd = ::open(source.path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || ::fstat(source.fd, &given) != 0 || ::fstat(fd, &found) != 0) return false;
    if (given.st_dev != found.st_dev || given.st_ino != found.st_ino) {
      errno = ESTALE;  // replaced in the meantime
      return false;
    }
    if (::dup3(fd, source.fd, O_CLOEXEC) < 0) return false;
    ::close(fd);
  }
  return true;
}

bool FileJail::become_root() noexcept {
  if (::syscall(SYS_pivot_root, ".", ".") == 0) return ::umount2(".", MNT_DETACH) == 0;
  // The first file system of a machine that booted from memory cannot be moved away. It is
  // unreachable once it is covered by the new root: leaving needs capabilities that are dropped
  // next.
  return errno == EINVAL && ::mount(".", "/", nullptr, MS_MOVE, nullptr) == 0 && ::chroot(".") == 0;
}

bool FileJail::take(const Step& step) const noexcept {
  const char* place = step.place.c_str();
  switch (step.kind) {
    case StepKind::make_directory: return ::mkdir(place, 0755) == 0 || errno == EEXIST;
    case StepKind::make_file: {
      int fd = ::open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
      if (fd < 0) return false;
      ::close(fd);
      return true;
    }
    case StepKind::make_link: return ::symlink(step.source.c_str(), place) == 0;
    case StepKind::bind_directory:
      return ::mount(step.source.c_str(), place, nullptr, MS_BIND | MS_REC, nullptr) == 0 &&
             make_read_only(place);
    case StepKind::bind_file:
      return ::mount(step.source.c_str(), place, nullptr, MS_BIND, nullptr) == 0 &&
             make_read_only(place);
  }
  return false;
}

bool FileJail::give_up_rights() const noexcept {
  constexpr uint32_t kReading = 1u << CAP_DAC_READ_SEARCH;
  bool good = limit(RLIMIT_CORE, 0) && limit(RLIMIT_AS, memory_size_) &&
              limit(RLIMIT_FSIZE, kFileSize) && limit(RLIMIT_NOFILE, kOpenFiles);
  if (!good) return false;
  for (int right = 0; right < 64; ++right) {
    // EINVAL: this kernel has no more capabilities.
    if (right == CAP_DAC_READ_SEARCH && root_) continue;
    if (::prctl(PR_CAPBSET_DROP, right, 0, 0, 0) != 0 && errno != EINVAL) return false;
  }
  if (root_) {
    if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return false;
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) return false;
    if (!keeps_user_ && (::syscall(SYS_setresgid, user_, user_, user_) != 0 ||
                         ::syscall(SYS_setresuid, user_, user_, user_) != 0))
      return false;
    if (!set_capabilities(kReading)) return false;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) != 0) return false;
  } else if (!set_capabilities(0)) {
    return false;
  }
  // A change of user clears this setting.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && forbid_calls();
}

}  // namespace base
