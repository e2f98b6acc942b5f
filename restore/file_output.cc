#include "restore/file_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"

namespace restore {

using base::Error;
using base::ErrorCode;
using base::options::value;

void declare_download(base::options::options_description_easy_init add) {
  add("to", value<std::string>()->required()->value_name("FILE"),
      "the file to create; -: standard output")(
      "format", value<std::string>()->value_name("raw|tar|zip"),
      "what to write (default: by the name of FILE; otherwise raw, the file as it is)")(
      "force", "overwrite a file that exists");
}

void declare_find(base::options::options_description_easy_init add) {
  add("name", value<std::string>()->required()->value_name("PATTERN"),
      "a pattern of *, ? and [a-z] that the whole name must match, or a part of the name")(
      "ignore-case", "take capital and small letters as equal");
}

void declare_volume_keys(base::options::options_description_easy_init add) {
  add("volume-passphrase-file", value<std::string>()->value_name("FILE"),
      "file with the passphrase or recovery key of encrypted volumes, in its first line")(
      "volume-key-file", value<std::string>()->value_name("FILE"),
      "file that is the key of encrypted volumes as a whole");
}

std::vector<images::volumes::VolumeKey> volume_keys_of(const base::Arguments& arguments) {
  std::vector<images::volumes::VolumeKey> keys;
  auto read = [&](const char* option) {
    return base::read_file(base::real_file_system(), arguments.get(option),
                           images::volumes::kMaxSecret);
  };
  if (arguments.has("volume-passphrase-file")) {
    std::string text(base::as_text(read("volume-passphrase-file")));
    text = text.substr(0, text.find_first_of("\r\n"));
    keys.push_back({"passphrase", base::Bytes(text.begin(), text.end())});
  }
  if (arguments.has("volume-key-file")) keys.push_back({"key file", read("volume-key-file")});
  return keys;
}

std::string download_format(const base::Arguments& arguments) {
  std::string to = arguments.get("to");
  std::string by_name = to.ends_with(".tar") ? "tar" : to.ends_with(".zip") ? "zip" : "raw";
  std::string format = arguments.get_or<std::string>("format", by_name);
  if (format == "raw" || format == "tar" || format == "zip") return format;
  throw Error(ErrorCode::invalid_argument, "--format is raw, tar or zip");
}

FileOutput::FileOutput(std::string path, bool overwrite) : path_(std::move(path)) {
  if (path_ == "-") return;
  if (!overwrite && std::filesystem::exists(std::filesystem::symlink_status(path_)))
    throw Error(ErrorCode::already_exists,
                path_ + " exists; give another name, or --force to overwrite it");
  temporary_ = path_ + ".part-" + std::to_string(::getpid());
  fd_.reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_) {
    int number = errno;
    std::string shown = std::exchange(temporary_, "");
    throw base::system_error(number, "cannot create " + shown);
  }
}

FileOutput::~FileOutput() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void FileOutput::write(std::string_view bytes) {
  int fd = fd_ ? fd_.get() : STDOUT_FILENO;
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw base::system_error(errno, "cannot write " + path_);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void FileOutput::commit() {
  if (temporary_.empty()) return;
  if (::fsync(fd_.get()) != 0) throw base::system_error(errno, "cannot write " + path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw base::system_error(errno, "cannot create " + path_);
  temporary_.clear();
  std::string folder = std::filesystem::absolute(path_).parent_path();
  base::UniqueFd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0)
    throw base::system_error(errno, "cannot make durable " + path_);
}

}  // namespace restore
