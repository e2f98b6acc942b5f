// Which processes are exports, and who may use one.
#include "images/export/export_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "tests/skip.h"

namespace images {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() { fs::permissions(scratch_.path(), fs::perms(0755)); }
  std::string socket() const { return scratch_.path() + "/export.sock"; }
  ExportOptions options() const {
    std::ofstream(scratch_.path() + "/disk.img") << std::string(512, 'x');
    ExportOptions options;
    options.plugin_command = {"file", scratch_.path() + "/disk.img"};
    options.socket_path = socket();
    return options;
  }

 private:
  base::ScratchDirectory scratch_{fs::temp_directory_path().string(), "muletto-export"};
};

// Until the process has replaced itself by that program.
void wait_until_runs(pid_t pid, const std::string& name) {
  for (int i = 0; i < 1000; ++i) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
    std::string first;
    std::getline(file, first, '\0');
    std::error_code ignored;
    fs::path program = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", ignored);
    if (first == "nbdkit" && program.filename() == name) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  FAIL("it does not run " << name);
}

}  // namespace

TEST_CASE("a process that calls itself nbdkit is no export") {
  Folder folder;
  base::Subprocess liar(
      {"bash", "-c", "exec -a nbdkit bash -c 'sleep 60; true' x -U \"$0\"", folder.socket()});
  wait_until_runs(liar.pid(), "bash");
  CHECK_FALSE(ExportProcess::find(folder.socket()).has_value());
  ExportProcess real = ExportProcess::start(folder.options());
  CHECK(ExportProcess::find(folder.socket())->pid() == real.pid());
  CHECK(ExportProcess::find_below(fs::path(folder.socket()).parent_path()).size() == 1);
}

TEST_CASE("an nbdkit of another user is no export of ours") {
  SKIP_UNLESS(tests::is_root(), "it needs root");
  Folder folder;
  base::Subprocess foreign({"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                            "nbdkit", "-f", "-r", "-U", folder.socket() + "/none", "null"});
  base::Subprocess waiting({"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                            "bash", "-c", "exec -a nbdkit nbdkit -f -U \"$0\" sh - < <(sleep 60)",
                            folder.socket()});
  wait_until_runs(waiting.pid(), "nbdkit");
  CHECK_FALSE(ExportProcess::find(folder.socket()).has_value());
  ExportProcess real = ExportProcess::start(folder.options());
  CHECK(ExportProcess::find(folder.socket())->pid() == real.pid());
}

TEST_CASE("the socket of an export is its owner's alone") {
  Folder folder;
  ExportOptions options = folder.options();
  uid_t owner = ::geteuid() == 0 ? 65534 : ::geteuid();
  options.socket_owner = owner;
  ExportProcess real = ExportProcess::start(options);
  struct stat status;
  REQUIRE(::lstat(folder.socket().c_str(), &status) == 0);
  CHECK(status.st_uid == owner);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("an export that outlives us has nothing of ours") {
  Folder folder;
  int stray = ::open("/etc/hostname", O_RDONLY);
  base::UniqueFd closed_at_the_end(stray);
  ExportOptions options = folder.options();
  options.lifetime = base::Lifetime::independent;
  ExportProcess exported = ExportProcess::start(options);
  std::string process = "/proc/" + std::to_string(exported.pid());
  for (const auto& entry : fs::directory_iterator(process + "/fd")) {
    std::error_code gone;
    CHECK(fs::read_symlink(entry.path(), gone) != "/etc/hostname");
  }
  CHECK(fs::read_symlink(process + "/cwd") == "/");
  exported.stop();
}

}  // namespace images
