#include "base/sandbox/rights.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace base::sandbox {
namespace {

constexpr rlim_t kMaxProcesses = 64, kMaxFiles = 256;
constexpr uid_t kNobody = 65534;
constexpr unsigned int kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr unsigned int kX32Bit = 0x40000000;

// What no parser needs, and what has been used to escape from sandboxes.
constexpr long kRefused[] = {
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_setns,
    SYS_unshare,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_syslog,
    SYS_fanotify_init,
    SYS_pidfd_getfd,
    SYS_personality,
    SYS_vhangup,
    SYS_lookup_dcookie,
};

constexpr uint32_t offset_of(size_t argument) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + 8 * argument);
}
sock_filter load(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
sock_filter skip_unless(uint32_t value, uint8_t count) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count);
}
sock_filter answer(uint32_t what) { return BPF_STMT(BPF_RET | BPF_K, what); }

void set_limit(__rlimit_resource resource, rlim_t value) {
  rlimit limit{value, value};
  expect(::setrlimit(resource, &limit), "cannot set a limit");
}

}  // namespace

void set_limits(const Options& options) {
  set_limit(RLIMIT_CORE, 0);
  set_limit(RLIMIT_AS, options.memory_size);
  set_limit(RLIMIT_CPU, options.processor_time_s);
  set_limit(RLIMIT_NPROC, kMaxProcesses);
  set_limit(RLIMIT_NOFILE, kMaxFiles);
  if (options.file_size != 0) set_limit(RLIMIT_FSIZE, options.file_size);
  ::setpriority(PRIO_PROCESS, 0, options.nice);
  constexpr int kIdle = 3 << 13;
  if (options.nice >= 15) ::syscall(SYS_ioprio_set, 1, 0, kIdle);
}

void drop_rights(uid_t user) {
  for (int capability = 0; ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {
  }
  expect(::setgroups(0, nullptr), "cannot drop the groups");
  if (::setresgid(user, user, user) != 0) {
    user = kNobody;
    expect(::setresgid(user, user, user), "cannot change the group");
  }
  expect(::setresuid(user, user, user), "cannot change the user");
  expect(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "cannot set no_new_privs");
  errno = EPERM;
  if (::getuid() == 0 || ::setuid(0) == 0) give_up("rights are left");
}

void filter_system_calls(bool has_network) {
  std::vector<sock_filter> filter{
      load(offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      answer(SECCOMP_RET_KILL_PROCESS),
      load(offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1),
      answer(SECCOMP_RET_KILL_PROCESS),
  };
  auto add = [&](std::initializer_list<sock_filter> more) {
    filter.insert(filter.end(), more.begin(), more.end());
  };
  for (long number : kRefused)
    add({skip_unless(static_cast<uint32_t>(number), 1), answer(SECCOMP_RET_ERRNO | EPERM)});
  // Its flags are in memory, where a filter cannot look; the C library then falls back to clone.
  add({skip_unless(SYS_clone3, 1), answer(SECCOMP_RET_ERRNO | ENOSYS)});
  add({skip_unless(SYS_clone, 4), load(offset_of(0)),
       BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kNamespaceFlags, 0, 1),
       answer(SECCOMP_RET_ERRNO | EPERM), answer(SECCOMP_RET_ALLOW)});
  add({skip_unless(SYS_socket, static_cast<uint8_t>(has_network ? 6 : 4)), load(offset_of(0)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, static_cast<uint8_t>(has_network ? 3 : 1), 0)});
  if (has_network) {
    add({BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0),
         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0)});
  }
  add({answer(SECCOMP_RET_ERRNO | EPERM), answer(SECCOMP_RET_ALLOW)});
  add({answer(SECCOMP_RET_ALLOW)});
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  expect(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0),
         "cannot filter system calls");
}

}  // namespace base::sandbox
