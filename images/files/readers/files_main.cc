// muletto-files SOCKET: reads the file systems of a point for the process at the other end of the
// socket with that number (files_format.h), which runs it confined (base/confinement.h). It parses
// what a guest wrote, with libraries and readers that may have bugs; it can do no harm because it
// has no privileges. Before it reads the first byte it also gives up opening files: what a system
// call may still do is listed below.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "images/files/readers/disk_link.h"
#include "images/files/readers/file_systems.h"
#include "images/files/readers/file_walk.h"

namespace {

using namespace images::files;
using base::Bytes;
using base::Error;

// Memory, the socket, the end, and what the C library and the stretching of passphrases need for
// threads. All others fail with EPERM.
constexpr long kAllowed[] = {
    SYS_read,
    SYS_write,
    SYS_recvfrom,
    SYS_sendto,
    SYS_poll,
    SYS_close,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_brk,
    SYS_madvise,
    SYS_futex,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_getrandom,
    SYS_getpid,
    SYS_gettid,
    SYS_tgkill,
    SYS_clone,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_fstat,
    SYS_newfstatat,
};

bool give_up_files() {
  std::vector<sock_filter> filter{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (long number : kAllowed) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

// The disks, and what was found on them.
class Session {
 public:
  explicit Session(Link& link) : link_(link) {}

  End answer(const Bytes& message) {
    switch (kind_of(message)) {
      case MessageKind::open: return open(unpack_open(message));
      case MessageKind::list: return with(unpack_path(message), answer_list);
      case MessageKind::look: return with(unpack_path(message), answer_look);
      case MessageKind::read: return with(unpack_path(message), answer_read);
      case MessageKind::walk: return with(unpack_walk(message), answer_walk);
      default: ::_exit(2);
    }
  }

 private:
  End open(const OpenRequest& request) {
    std::vector<std::pair<std::string, images::DiskSource*>> named;
    for (const OpenRequest::Disk& each : request.disks) {
      disks_.push_back(
          std::make_unique<LinkedDisk>(link_, static_cast<uint32_t>(disks_.size()), each.size));
      named.emplace_back(each.name, disks_.back().get());
    }
    found_ = std::make_unique<FileSystems>(std::move(named), request.keys);
    link_.send(pack(found_->found()));
    return {};
  }

  template <typename Request>
  End with(const Request& request, End (*call)(FileSystemReader&, const Request&, Link&)) {
    if (!found_) ::_exit(2);
    return call(found_->reader(request.file_system), request, link_);
  }

  Link& link_;
  std::vector<std::unique_ptr<LinkedDisk>> disks_;
  std::unique_ptr<FileSystems> found_;
};

End bad_end(base::ErrorCode code, const std::string& words) {
  End end;
  end.is_good = false;
  end.code = code;
  end.words = words;
  return end;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: muletto-files SOCKET\n", stderr);
    return 2;
  }
  int socket = std::atoi(arguments[1]);
  ::close_range(3, static_cast<unsigned>(socket) - 1, 0);
  ::close_range(static_cast<unsigned>(socket) + 1, ~0u, 0);
  // One arena, so that the limit of address space is that of memory.
  ::mallopt(M_ARENA_MAX, 1);
  if (socket < 3 || !give_up_files()) return 2;
  Link link(socket);
  Session session(link);
  while (true) {
    Bytes message = link.receive();
    End end;
    try {
      end = session.answer(message);
    } catch (const Error& error) {
      end = bad_end(error.code(), error.message());
    } catch (const std::bad_alloc&) {
      end = bad_end(base::ErrorCode::unsupported,
                    "reading this needs more memory than the reader may use");
    } catch (const std::exception&) {
      end = bad_end(base::ErrorCode::corrupt, "it cannot be read");
    }
    link.send(pack(end));
  }
}
