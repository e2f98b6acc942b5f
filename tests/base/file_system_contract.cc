// What every FileSystem promises, run on the real one, the one in memory, and one that may fail but
// was not told to; then what only the last two do.
#include <catch2/catch.hpp>

#include <functional>
#include <set>

#include "base/error.h"
#include "base/faulty_file_system.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"

namespace base {
namespace {

struct Candidate {
  std::string name;
  ScratchDirectory scratch{"/tmp", "muletto-file-system-test"};
  MemoryFileSystem memory;
  FaultyFileSystem faulty{memory};
  FileSystem* files = nullptr;
  std::string top = "/top";
};

std::unique_ptr<Candidate> candidate(const std::string& name) {
  auto made = std::make_unique<Candidate>();
  made->name = name;
  if (name == "real") {
    made->files = &real_file_system();
    made->top = made->scratch.path();
    return made;
  }
  made->files = name == "memory" ? static_cast<FileSystem*>(&made->memory) : &made->faulty;
  made->files->make_directory(made->top);
  return made;
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

std::string text_of(FileSystem& files, const std::string& path) {
  return std::string(as_text(read_file(files, path, 1 << 20)));
}

void write(FileSystem& files, const std::string& path, std::string_view text) {
  auto file = files.create(path);
  file->append(as_bytes(text));
}

}  // namespace

TEST_CASE("every file system keeps the contract") {
  auto under_test =
      candidate(GENERATE(std::string("real"), std::string("memory"), std::string("faulty")));
  FileSystem& files = *under_test->files;
  const std::string top = under_test->top;
  INFO(under_test->name);

  SECTION("files grow at the end and are read anywhere") {
    auto file = files.create(top + "/a");
    CHECK(file->size() == 0);
    file->append(as_bytes("hello "));
    file->append(as_bytes("world"));
    CHECK(file->size() == 11);
    file->sync();
    auto reader = files.open(top + "/a");
    CHECK(reader->size() == 11);
    Bytes part(5);
    reader->read_at(6, part);
    CHECK(as_text(part) == "world");
    CHECK(code_of([&] { reader->read_at(7, part); }) == ErrorCode::corrupt);
    CHECK(code_of([&] { reader->read_at(100, part); }) == ErrorCode::corrupt);
    file->append(as_bytes("!"));
    CHECK(reader->size() == 12);
  }
  SECTION("a name is taken once") {
    write(files, top + "/a", "x");
    CHECK(code_of([&] { files.create(top + "/a"); }) == ErrorCode::already_exists);
    CHECK(text_of(files, top + "/a") == "x");
  }
  SECTION("a file is reopened after its first bytes") {
    write(files, top + "/a", "keep and drop");
    auto file = files.reopen(top + "/a", 4);
    CHECK(file->size() == 4);
    file->append(as_bytes("!"));
    CHECK(text_of(files, top + "/a") == "keep!");
    CHECK(code_of([&] { files.reopen(top + "/none", 0); }) == ErrorCode::not_found);
  }
  SECTION("what is not there is not found") {
    CHECK_FALSE(files.exists(top + "/none"));
    CHECK_FALSE(files.exists(top + "/none/deeper"));
    CHECK(code_of([&] { files.open(top + "/none"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { files.remove(top + "/none"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { files.rename(top + "/none", top + "/b"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { files.list(top + "/none"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { files.create(top + "/none/a"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { files.lock(top + "/none", LockKind::shared); }) == ErrorCode::not_found);
    CHECK(code_of([&] { files.sync_directory(top + "/none"); }) == ErrorCode::not_found);
  }
  SECTION("folders list their names in order") {
    files.make_directory(top + "/d");
    files.make_directory(top + "/d");
    write(files, top + "/d/b", "1");
    write(files, top + "/d/a", "2");
    files.make_directory(top + "/d/c");
    CHECK(files.list(top + "/d") == std::vector<std::string>{"a", "b", "c"});
    files.remove(top + "/d/b");
    CHECK(files.list(top + "/d") == std::vector<std::string>{"a", "c"});
    files.sync_directory(top + "/d");
  }
  SECTION("a rename replaces, and an open file outlives its name") {
    write(files, top + "/a", "new");
    write(files, top + "/b", "old");
    auto reader = files.open(top + "/b");
    files.rename(top + "/a", top + "/b");
    CHECK_FALSE(files.exists(top + "/a"));
    CHECK(text_of(files, top + "/b") == "new");
    files.remove(top + "/b");
    Bytes bytes(3);
    reader->read_at(0, bytes);
    CHECK(as_text(bytes) == "old");
  }
  SECTION("locks exclude each other") {
    write(files, top + "/a", "");
    auto first = files.lock(top + "/a", LockKind::shared);
    auto second = files.lock(top + "/a", LockKind::shared);
    CHECK(code_of([&] { files.lock(top + "/a", LockKind::exclusive); }) == ErrorCode::busy);
    first.reset();
    second.reset();
    auto alone = files.lock(top + "/a", LockKind::exclusive);
    CHECK(code_of([&] { files.lock(top + "/a", LockKind::shared); }) == ErrorCode::busy);
    alone.reset();
    files.lock(top + "/a", LockKind::shared);
  }
  SECTION("a durable write replaces the whole file and leaves nothing else") {
    write_file_durably(files, top + "/a", as_bytes("one"));
    write_file_durably(files, top + "/a", as_bytes("two"));
    CHECK(text_of(files, top + "/a") == "two");
    CHECK(files.list(top) == std::vector<std::string>{"a"});
  }
}

TEST_CASE("a power cut keeps what was durable, and of the rest what it likes") {
  std::set<std::string> contents;
  std::set<bool> unsynced_names;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    MemoryFileSystem files;
    files.make_directory("/d");
    files.sync_directory("/");
    auto file = files.create("/d/a");
    files.sync_directory("/d");
    file->append(as_bytes("durable"));
    file->sync();
    file->append(Bytes(2000, 'x'));
    write(files, "/d/b", "unsynced name");
    auto held = files.lock("/d/a", LockKind::exclusive);
    auto clone = files.clone();
    files.power_cut(seed);

    REQUIRE(files.exists("/d/a"));
    std::string text = text_of(files, "/d/a");
    REQUIRE(text.starts_with("durable"));
    REQUIRE(text.size() <= 2007);
    contents.insert(text);
    unsynced_names.insert(files.exists("/d/b"));
    CHECK(code_of([&] { file->append(as_bytes("!")); }) == ErrorCode::io);
    files.lock("/d/a", LockKind::exclusive);
    CHECK(text_of(*clone, "/d/a").size() == 2007);
    clone->power_cut(seed);
    CHECK(text_of(*clone, "/d/a") == text);
  }
  CHECK(contents.size() > 20);
  CHECK(unsynced_names.size() == 2);
}

TEST_CASE("what lies in a folder whose name was not made durable can be lost") {
  bool lost = false, kept = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    MemoryFileSystem files;
    files.make_directory("/d");
    write_file_durably(files, "/d/a", as_bytes("x"));
    files.power_cut(seed);
    (files.exists("/d/a") ? kept : lost) = true;
  }
  CHECK(lost);
  CHECK(kept);
}

TEST_CASE("a faulty file system fails the I/O it was told to") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  auto file = files.create("/a");  // 1
  files.fail_at(3, Fault::short_write);
  file->append(as_bytes("first"));  // 2
  CHECK_FALSE(files.fired());
  CHECK(code_of([&] { file->append(Bytes(256, 'x')); }) == ErrorCode::no_space);
  CHECK(files.fired());
  CHECK(file->size() < 5 + 256);
  CHECK(file->size() > 5);
  file->sync();  // 4
  CHECK(files.count() == 4);
  files.fail_at(5, Fault::power_cut);
  CHECK(code_of([&] { file->sync(); }) == ErrorCode::io);
  CHECK(code_of([&] { files.exists("/a"); }) == ErrorCode::io);
  files.reset();
  CHECK(files.exists("/a"));
  CHECK(files.count() == 1);
  std::vector<uint64_t> numbers;
  files.before_each([&](uint64_t number) { numbers.push_back(number); });
  files.list("/");
  CHECK(numbers == std::vector<uint64_t>{2});
}

}  // namespace base
