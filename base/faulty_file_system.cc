#include "base/faulty_file_system.h"

#include <mutex>

#include "base/error.h"

namespace base {

struct FaultyFileSystem::Plan {
  mutable std::mutex mutex;
  uint64_t count = 0;
  uint64_t fail_at = 0;
  Fault fault = Fault::io_error;
  bool fired = false;
  bool power_is_off = false;
  std::function<void(uint64_t)> before_each;

  // Counts one I/O. Returns the share of it, in 256ths, that is done: all of it, or less, and then
  // fail() is due.
  struct Verdict {
    bool fails = false;
    uint32_t part = 256;
    ErrorCode code = ErrorCode::io;
  };

  Verdict count_one() {
    std::function<void(uint64_t)> call;
    uint64_t number = 0;
    Verdict verdict;
    {
      std::lock_guard lock(mutex);
      number = ++count;
      if (power_is_off) return {true, 0, ErrorCode::io};
      call = before_each;
      if (number == fail_at) verdict = fire();
    }
    if (call) call(number);
    return verdict;
  }

  // For operations that are done either completely or not at all.
  void pass(const std::string& action) {
    Verdict verdict = count_one();
    if (verdict.fails) fail(verdict, action);
  }

  [[noreturn]] static void fail(const Verdict& verdict, const std::string& action) {
    throw Error(verdict.code, "cannot " + action + ": a fault was ordered");
  }

 private:
  Verdict fire() {
    fired = true;
    power_is_off = fault == Fault::power_cut;
    bool full = fault == Fault::no_space || fault == Fault::short_write;
    bool partial = fault == Fault::short_write || fault == Fault::power_cut;
    // Which part is written only has to differ from case to case.
    auto part = static_cast<uint32_t>(partial ? count * 37 % 256 : 0);
    return {true, part, full ? ErrorCode::no_space : ErrorCode::io};
  }
};

class FaultyFileSystem::OpenForReading : public ReadableFile {
 public:
  OpenForReading(std::shared_ptr<Plan> plan, std::unique_ptr<ReadableFile> file, std::string path)
      : plan_(std::move(plan)), file_(std::move(file)), path_(std::move(path)) {}

  uint64_t size() const override { return file_->size(); }
  void read_at(uint64_t offset, MutableByteView out) const override {
    plan_->pass("read " + path_);
    file_->read_at(offset, out);
  }

 private:
  std::shared_ptr<Plan> plan_;
  std::unique_ptr<ReadableFile> file_;
  std::string path_;
};

class FaultyFileSystem::OpenForWriting : public WritableFile {
 public:
  OpenForWriting(std::shared_ptr<Plan> plan, std::unique_ptr<WritableFile> file, std::string path)
      : plan_(std::move(plan)), file_(std::move(file)), path_(std::move(path)) {}

  uint64_t size() const override { return file_->size(); }
  void append(ByteView bytes) override {
    Plan::Verdict verdict = plan_->count_one();
    file_->append(bytes.first(bytes.size() * verdict.part / 256));
    if (verdict.fails) Plan::fail(verdict, "write to " + path_);
  }
  void sync() override {
    plan_->pass("make durable " + path_);
    file_->sync();
  }

 private:
  std::shared_ptr<Plan> plan_;
  std::unique_ptr<WritableFile> file_;
  std::string path_;
};

FaultyFileSystem::FaultyFileSystem(FileSystem& files)
    : files_(files), plan_(std::make_shared<Plan>()) {}
FaultyFileSystem::~FaultyFileSystem() = default;

std::unique_ptr<ReadableFile> FaultyFileSystem::open(const std::string& path) {
  plan_->pass("open " + path);
  return std::make_unique<OpenForReading>(plan_, files_.open(path), path);
}

std::unique_ptr<WritableFile> FaultyFileSystem::create(const std::string& path) {
  plan_->pass("create " + path);
  return std::make_unique<OpenForWriting>(plan_, files_.create(path), path);
}

std::unique_ptr<WritableFile> FaultyFileSystem::reopen(const std::string& path, uint64_t size) {
  plan_->pass("reopen " + path);
  return std::make_unique<OpenForWriting>(plan_, files_.reopen(path, size), path);
}

bool FaultyFileSystem::exists(const std::string& path) {
  plan_->pass("examine " + path);
  return files_.exists(path);
}

void FaultyFileSystem::make_directory(const std::string& path) {
  plan_->pass("create folder " + path);
  files_.make_directory(path);
}

std::vector<std::string> FaultyFileSystem::list(const std::string& directory) {
  plan_->pass("list " + directory);
  return files_.list(directory);
}

void FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  plan_->pass("rename " + from);
  files_.rename(from, to);
}

void FaultyFileSystem::remove(const std::string& path) {
  plan_->pass("remove " + path);
  files_.remove(path);
}

void FaultyFileSystem::sync_directory(const std::string& directory) {
  plan_->pass("make durable " + directory);
  files_.sync_directory(directory);
}

std::unique_ptr<FileLock> FaultyFileSystem::lock(const std::string& path, LockKind kind) {
  plan_->pass("lock " + path);
  return files_.lock(path, kind);
}

void FaultyFileSystem::fail_at(uint64_t number, Fault fault) {
  std::lock_guard lock(plan_->mutex);
  plan_->fail_at = number;
  plan_->fault = fault;
  plan_->fired = false;
}

void FaultyFileSystem::before_each(std::function<void(uint64_t)> call) {
  std::lock_guard lock(plan_->mutex);
  plan_->before_each = std::move(call);
}

uint64_t FaultyFileSystem::count() const {
  std::lock_guard lock(plan_->mutex);
  return plan_->count;
}

bool FaultyFileSystem::fired() const {
  std::lock_guard lock(plan_->mutex);
  return plan_->fired;
}

void FaultyFileSystem::reset() {
  std::lock_guard lock(plan_->mutex);
  plan_->count = 0;
  plan_->fail_at = 0;
  plan_->fired = false;
  plan_->power_is_off = false;
}

}  // namespace base
