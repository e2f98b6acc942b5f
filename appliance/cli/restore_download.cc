// A disk arrives in windows of 1 GiB. Of each the appliance says where it holds data, and its
// checksum; only the data is asked for, in pieces, and what is in the file then is hashed and
// compared. A window of an earlier, interrupted download that has the right checksum is kept: that
// is how a download resumes.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace appliance::cli {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr uint64_t kWindowSize = 1ull << 30;
constexpr uint64_t kPieceSize = 8ull << 20;

void declare_restore_download(base::options::options_description_easy_init add) {
  using base::options::value;
  add("disk", value<std::string>()->required()->value_name("NAME"), "the disk to download");
  add("to", value<std::string>()->required()->value_name("FILE"),
      "the file to create here, as raw bytes");
  declare_connection(add);
}

class Download {
 public:
  Download(const ApiClient& client, std::string path, std::string target)
      : client_(client), path_(std::move(path)), part_path_(target + ".part"),
        fd_(::open(part_path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640)) {
    if (!fd_) throw base::system_error(errno, "cannot make " + part_path_);
    size_ = number(client_.get(path_ + "/extents?length=0"), "size");
    had_part_ = file_size() > 0;
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
      throw base::system_error(errno, "cannot make " + part_path_);
  }

  void run(const std::string& title) {
    base::ProgressPrinter printer(title, base::progress_style_of_standard_error());
    for (uint64_t at = 0; at < size_; at += kWindowSize) {
      uint64_t length = std::min(kWindowSize, size_ - at);
      std::string wanted = checksum(at, length);
      if (had_part_ && digest_of(at, length) == wanted) {
        kept_ += length;
      } else {
        fetch(at, length, printer);
        if (digest_of(at, length) != wanted) {
          throw Error(ErrorCode::corrupt,
                      fmt::format("what arrived of the disk at {} is not what the appliance has: "
                                  "start the same command again, which keeps what is right",
                                  at));
        }
      }
      printer.show({.done = at + length, .total = size_});
    }
  }

  void publish(const std::string& target) {
    if (::fsync(fd_.get()) != 0) throw base::system_error(errno, "cannot make durable " + target);
    if (::renameat2(AT_FDCWD, part_path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0)
      throw base::system_error(errno, "cannot make " + target);
    base::real_file_system().sync_directory(base::parent_path(target));
  }

  uint64_t size() const { return size_; }
  uint64_t fetched() const { return fetched_; }
  uint64_t kept() const { return kept_; }

 private:
  static uint64_t number(const json& answer, const char* field) {
    if (!answer.contains(field) || !answer[field].is_number_unsigned())
      throw Error(ErrorCode::corrupt, "the appliance's answer has no " + std::string(field));
    return answer[field].get<uint64_t>();
  }
  std::string query(const char* what, uint64_t offset, uint64_t length) const {
    return fmt::format("{}/{}?offset={}&length={}", path_, what, offset, length);
  }
  std::string checksum(uint64_t offset, uint64_t length) const {
    return text_of(client_.get(query("checksum", offset, length)), "sha256");
  }
  uint64_t file_size() const {
    struct stat status {};
    return ::fstat(fd_.get(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
  }

  std::string digest_of(uint64_t offset, uint64_t length) const {
    base::Digest digest(base::DigestKind::sha256);
    base::Bytes piece;
    for (uint64_t at = offset, end = offset + length; at < end; at += piece.size()) {
      piece.resize(std::min(kPieceSize, end - at));
      ssize_t count = ::pread(fd_.get(), piece.data(), piece.size(), static_cast<off_t>(at));
      if (count != static_cast<ssize_t>(piece.size()))
        throw base::system_error(count < 0 ? errno : EIO, "cannot read " + part_path_);
      digest.update(piece);
    }
    return digest.finish();
  }

  void fetch(uint64_t offset, uint64_t length, base::ProgressPrinter& printer) {
    json answer = client_.get(query("extents", offset, length));
    // What an interrupted download left there may be wrong.
    if (had_part_ && ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                 static_cast<off_t>(offset), static_cast<off_t>(length)) != 0)
      throw base::system_error(errno, "cannot empty a part of " + part_path_);
    for (const json& extent : answer["extents"]) {
      uint64_t at = number(extent, "offset"), end = at + number(extent, "length");
      if (at < offset || end < at || end > offset + length)
        throw Error(ErrorCode::corrupt, "the appliance named a place outside of what was asked");
      for (; at < end; at += kPieceSize) {
        put(at, client_.download(query("raw", at, std::min(kPieceSize, end - at))).body,
            std::min(kPieceSize, end - at));
        printer.show({.done = at, .total = size_});
      }
    }
  }

  void put(uint64_t offset, const std::string& bytes, uint64_t size) {
    if (bytes.size() != size)
      throw Error(ErrorCode::corrupt, "the appliance sent another number of bytes than was asked");
    ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count != static_cast<ssize_t>(bytes.size()))
      throw base::system_error(count < 0 ? errno : ENOSPC, "cannot write " + part_path_);
    fetched_ += bytes.size();
  }

  const ApiClient& client_;
  const std::string path_, part_path_;
  base::UniqueFd fd_;
  bool had_part_ = false;
  uint64_t size_ = 0, fetched_ = 0, kept_ = 0;
};

int run_restore_download(const base::Arguments& arguments) {
  std::string target = arguments.get("to"), disk = arguments.get("disk");
  struct stat status {};
  if (::lstat(target.c_str(), &status) == 0)
    throw Error(ErrorCode::already_exists, target + " exists: choose another name, or remove it");
  ApiClient client(arguments);
  // One point from here on: a newer one may arrive meanwhile.
  json point = client.get("/points/" + base::encode_percent(arguments.get("POINT")))["point"];
  Download download(client,
                    fmt::format("/points/{}/disks/{}", base::encode_percent(text_of(point, "id")),
                                base::encode_percent(disk)),
                    target);
  download.run(disk);
  download.publish(target);
  json outcome{{"file", target},
               {"size", download.size()},
               {"fetched", download.fetched()},
               {"kept", download.kept()}};
  if (!print_if_json(arguments, outcome)) {
    fmt::print("{} is in {}: {}, {} fetched, compared with the appliance's checksums\n",
               printable(disk), target, base::format_size(download.size()),
               base::format_size(download.fetched()));
  }
  return 0;
}

}  // namespace

base::Command restore_download_command() {
  base::Command command;
  command.name = "restore download";
  command.summary = "Fetch one disk of a point from the appliance into a file here";
  command.positional = {"POINT"};
  command.declare_options = declare_restore_download;
  command.run = run_restore_download;
  command.notes =
      std::string(kPointHelp) +
      "\n\nUntil it is complete the file is called FILE.part. Started again after an interruption, "
      "the command keeps what has arrived and fetches the rest. Only data travels, no zeros.";
  return command;
}

}  // namespace appliance::cli
