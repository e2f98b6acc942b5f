#include "images/files/archive_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "images/files/name_text.h"
#include "images/files/tar_writer.h"
#include "images/files/zip_writer.h"

namespace images::files {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kPiece = 256 << 10;              // bytes
constexpr size_t kMaxProblemText = 1 << 20;       // bytes
constexpr size_t kMaxLinks = 1'000'000;           // whose paths are remembered
constexpr std::chrono::seconds kLongestPiece{1};  // threads are shared
constexpr std::chrono::minutes kLongestPause{3};
constexpr const char* kErrorsName = "MULETTO-ERRORS.txt";

std::unique_ptr<ArchiveWriter> writer_of(ArchiveFormat format) {
  if (format == ArchiveFormat::tar) return std::make_unique<TarWriter>();
  return std::make_unique<ZipWriter>();
}

uint64_t hash_of(std::string_view path) { return std::hash<std::string_view>{}(path); }

[[noreturn]] void refuse() {
  throw Error(ErrorCode::corrupt,
              "the program that reads the point's file systems sent what cannot be an archive");
}

// Whether every part of it may be a name.
bool is_plain_path(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    if (!is_plain_name(path.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

ArchiveStream::ArchiveStream(FilesProcess& process, ArchiveFormat format, uint32_t file_system,
                             const std::string& path, const std::string& name)
    : process_(process), name_(name), links_once_(format == ArchiveFormat::tar),
      writer_(writer_of(format)) {
  process_.begin_walk(
      {.file_system = file_system, .path = path, .with_content = true, .links_once = links_once_});
}

std::string ArchiveStream::next() {
  std::string out;
  auto begin = std::chrono::steady_clock::now();
  while (out.size() < kPiece && state_ != State::over) {
    step(out);
    auto elapsed = std::chrono::steady_clock::now() - begin;
    if (elapsed > kLongestPiece && !out.empty()) break;
    if (elapsed > kLongestPause)
      throw Error(
          ErrorCode::unavailable,
          "nothing of the folder could be read for some minutes, and the download is ended");
  }
  return out;
}

void ArchiveStream::step(std::string& out) {
  if (zeros_ > 0 || ends_after_zeros_) {
    fill(out);
    return;
  }
  if (state_ == State::finishing) {
    if (!writer_->finish(out)) state_ = State::over;
    return;
  }
  Event event = process_.next();
  if (auto* entry = std::get_if<Entry>(&event)) handle(std::move(*entry), out);
  else if (auto* ranges = std::get_if<std::vector<DataRange>>(&event)) handle(*ranges, out);
  else if (auto* data = std::get_if<Data>(&event)) handle(std::move(*data), out);
  else if (auto* content = std::get_if<ContentEnd>(&event)) handle(*content, out);
  else if (auto* problem = std::get_if<Problem>(&event)) add_problem(problem->path, problem->why);
  else if (auto* end = std::get_if<End>(&event)) finish_walk(*end, out);
}

bool ArchiveStream::goes_through_link(const std::string& path) const {
  if (link_paths_.empty()) return false;
  for (size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    if (link_paths_.contains(hash_of(std::string_view(path).substr(0, end)))) return true;
  }
  return link_paths_.contains(hash_of(path));
}

void ArchiveStream::handle(Entry entry, std::string& out) {
  if (state_ != State::between) refuse();
  if (!entry.path.empty() && !is_plain_path(entry.path)) refuse();
  std::string path = member_path(entry.path);
  bool is_file = entry.node.kind == NodeKind::file;
  const std::string* first = links_once_ ? links_.meet(entry.node, path) : nullptr;
  bool is_refused = goes_through_link(path);
  if (is_refused)
    add_problem(entry.path, "left out: the file system is damaged, a link has the same name");
  if (is_file && first == nullptr) {
    file_ = std::move(entry);
    is_skipped_ = is_refused;
    state_ = State::before_content;
    return;
  }
  if (is_refused) return;
  if (entry.node.kind == NodeKind::link) {
    if (link_paths_.size() >= kMaxLinks) {
      add_problem(entry.path, "left out: there are too many links");
      return;
    }
    link_paths_.insert(hash_of(path));
  }
  if (entry.path.find('/') == std::string::npos) seen_names_.insert(hash_of(entry.path));
  if (writer_->add(path, entry.node, first, out)) ++figures_.file_count;
  else ++figures_.left_out;
}

void ArchiveStream::handle(const std::vector<DataRange>& ranges, std::string& out) {
  if (state_ != State::before_content) refuse();
  state_ = State::in_content;
  ranges_.clear();
  for (const DataRange& each : ranges) {
    if (each.offset >= file_.node.size) break;
    ranges_.push_back({each.offset, std::min(each.length, file_.node.size - each.offset)});
  }
  range_ = 0;
  in_range_ = position_ = 0;
  if (is_skipped_) return;
  if (file_.path.find('/') == std::string::npos) seen_names_.insert(hash_of(file_.path));
  writer_->begin_file(member_path(file_.path), file_.node, ranges_, out);
  ++figures_.file_count;
}

void ArchiveStream::handle(Data data, std::string& out) {
  if (state_ != State::in_content || range_ >= ranges_.size()) refuse();
  const DataRange& range = ranges_[range_];
  if (data.bytes.empty() || data.offset != range.offset + in_range_ ||
      data.bytes.size() > range.length - in_range_)
    refuse();
  in_range_ += data.bytes.size();
  if (in_range_ == range.length) {
    ++range_;
    in_range_ = 0;
  }
  if (is_skipped_) return;
  figures_.size += data.bytes.size();
  if (writer_->wants_holes() && position_ < data.offset) {
    // The hole comes first, in pieces.
    zeros_ = data.offset - position_;
    position_ = data.offset + data.bytes.size();
    waiting_ = std::move(data.bytes);
    return;
  }
  writer_->content(data.bytes, out);
  position_ = data.offset + data.bytes.size();
}

void ArchiveStream::handle(const ContentEnd& end, std::string& out) {
  if (state_ != State::in_content) refuse();
  uint64_t missing = 0;
  for (size_t i = range_; i < ranges_.size(); ++i)
    missing += ranges_[i].length - (i == range_ ? in_range_ : 0);
  std::string why = end.why;
  if (why.empty() && missing > 0) why = "it ended before its end";
  if (!why.empty()) {
    uint64_t from = range_ < ranges_.size() ? ranges_[range_].offset + in_range_ : 0;
    add_problem(
        file_.path,
        fmt::format("from byte {} on it could not be read, and is zeros here: {}", from, why));
  }
  state_ = State::between;
  if (is_skipped_) return;
  zeros_ = writer_->wants_holes() ? file_.node.size - position_ : missing;
  ends_after_zeros_ = true;
  fill(out);
}

void ArchiveStream::fill(std::string& out) {
  static const base::Bytes zeros(kPiece);
  size_t size = static_cast<size_t>(std::min<uint64_t>(kPiece, zeros_));
  if (size > 0) writer_->content(base::ByteView(zeros).first(size), out);
  zeros_ -= size;
  if (zeros_ > 0) return;
  if (!waiting_.empty()) writer_->content(std::exchange(waiting_, {}), out);
  if (!ends_after_zeros_) return;
  ends_after_zeros_ = false;
  writer_->end_file(out);
}

void ArchiveStream::finish_walk(const End& end, std::string& out) {
  if (state_ != State::between) refuse();
  if (!end.is_good) {
    // Nothing was begun yet: the path does not exist, for instance.
    if (figures_.file_count == 0) throw Error(end.code, end.words);
    add_problem("", "the rest is missing: " + end.words);
  }
  if (figures_.problem_count > 0) add_errors(out);
  state_ = State::finishing;
}

void ArchiveStream::add_problem(const std::string& path, const std::string& why) {
  std::string line = fmt::format("{}: {}", text_of_name(member_path(path)), why);
  if (figures_.problem_count++ == 0) figures_.first_problem = line;
  if (problems_.size() + line.size() < kMaxProblemText) problems_ += line + "\n";
}

void ArchiveStream::add_errors(std::string& out) {
  std::string text =
      fmt::format(
          "This archive is not complete. {} could not be read as they are in the point:\n\n",
          base::format_count(figures_.problem_count, "thing")) +
      problems_;
  if (problems_.size() + kMaxWords > kMaxProblemText) text += "\n(There are more.)\n";
  std::string name = kErrorsName;
  for (int i = 2; seen_names_.contains(hash_of(name)); ++i)
    name = fmt::format("MULETTO-ERRORS-{}.txt", i);
  Node node;
  node.kind = NodeKind::file;
  node.mode = 0644;
  node.size = text.size();
  node.modified.seconds = static_cast<int64_t>(base::now_ms() / 1000);
  writer_->begin_file(member_path(name), node, {{0, node.size}}, out);
  writer_->content(base::as_bytes(text), out);
  writer_->end_file(out);
}

}  // namespace images::files
