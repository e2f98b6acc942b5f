#include "appliance/api/routes/file_streams.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "appliance/api/http/errors.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "images/files/comparison.h"
#include "images/files/name_text.h"
#include "images/files/node_json.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
namespace reading = images::files;
using Clock = std::chrono::steady_clock;

constexpr size_t kLinesPiece = 64 << 10;                 // bytes
constexpr std::chrono::milliseconds kLongestPiece{500};  // of a search, so that threads are shared

// Ends its job with what became of the download.
class Download {
 public:
  Download(jobs::JobRunner& jobs, AskedFile asked, const access::Requester& who,
           const std::string& format)
      : asked_(std::move(asked)), format_(format),
        job_(jobs.attach({"download", asked_.process.look().tenant(),
                          asked_.process.look().point().machine_name, who})) {
    asked_.process.look().note(who, fmt::format("downloads {} as {} (job {})",
                                                text_of(asked_.place), format_, job_->id().number));
    job_->context().log(fmt::format("{} downloads {} of point {} as {}", who.text(),
                                    text_of(asked_.place), asked_.process.look().point().id.hex(),
                                    format_));
  }
  virtual ~Download() {
    if (!job_) return;
    base::run_guarded("the end of a download", [this] {
      set_figures();
      job_->fail(Error(ErrorCode::cancelled, "the client ended the download before its end"));
    });
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  // Makes the first piece, before the answer begins: what is wrong with the path is an answer of
  // its own. To be called once.
  void begin() {
    try {
      first_ = make_piece();
    } catch (const Error& error) {
      end(error);
      throw;
    }
  }

  std::string next() {
    try {
      job_->context().throw_if_stopped();
      std::string piece = first_ ? *std::exchange(first_, std::nullopt) : make_piece();
      written_ += piece.size();
      job_->context().set_progress({written_, total_, "reading"});
      if (piece.empty()) end(problem());
      return piece;
    } catch (const Error& error) {
      if (job_) end(error);
      throw;
    }
  }

  std::string job_number() const { return std::to_string(job_->id().number); }
  AskedFile& asked() { return asked_; }

 protected:
  virtual std::string make_piece() = 0;
  // What was not as it should be, though the answer is complete.
  virtual std::optional<Error> problem() { return std::nullopt; }
  virtual json own_figures() { return json::object(); }

  uint64_t total_ = 0;

 private:
  void set_figures() {
    json figures = own_figures();
    figures["point"] = asked_.process.look().point().id.hex();
    figures["path"] = text_of(asked_.place);
    figures["format"] = format_;
    figures["bytes_sent"] = written_;
    job_->context().set_figures(base::dump_text(figures));
  }
  void end(const std::optional<Error>& error) {
    set_figures();
    std::unique_ptr<jobs::AttachedJob> job = std::move(job_);
    if (error) job->fail(*error);
    else job->succeed();
  }

  AskedFile asked_;
  const std::string format_;
  std::unique_ptr<jobs::AttachedJob> job_;
  std::optional<std::string> first_;
  uint64_t written_ = 0;
};

class RawDownload : public Download {
 public:
  RawDownload(jobs::JobRunner& jobs, AskedFile asked, const access::Requester& who,
              const ByteRange& range)
      : Download(jobs, std::move(asked), who, "file"), range_(range) {
    total_ = range.length;
    this->asked().process->begin_read(this->asked().file_system, this->asked().place.path,
                                      range.offset, range.length);
  }

 protected:
  std::string make_piece() override {
    while (!is_over_) {
      reading::Event event = asked().process->next();
      if (auto* data = std::get_if<reading::Data>(&event)) {
        if (data->offset != range_.offset + done_ || data->bytes.size() > range_.length - done_)
          throw Error(ErrorCode::corrupt, "the file was not read in order");
        done_ += data->bytes.size();
        return std::string(base::as_text(data->bytes));
      }
      if (auto* end = std::get_if<reading::End>(&event)) {
        if (!end->is_good) throw Error(end->code, end->words);
        if (done_ != range_.length)
          throw Error(ErrorCode::corrupt, "the file is shorter than its size");
        is_over_ = true;
      }
    }
    return "";
  }

 private:
  const ByteRange range_;
  uint64_t done_ = 0;
  bool is_over_ = false;
};

class ArchiveDownload : public Download {
 public:
  ArchiveDownload(jobs::JobRunner& jobs, AskedFile asked, const access::Requester& who,
                  reading::ArchiveFormat format, const std::string& name)
      : Download(jobs, std::move(asked), who,
                 format == reading::ArchiveFormat::tar ? "tar" : "zip"),
        archive_(*this->asked().process, format, this->asked().file_system,
                 this->asked().place.path, name) {}

 protected:
  std::string make_piece() override { return archive_.next(); }
  std::optional<Error> problem() override {
    const reading::ArchiveFigures& figures = archive_.figures();
    if (figures.problem_count == 0) return std::nullopt;
    return Error(
        ErrorCode::corrupt,
        fmt::format("{} could not be read as they are in the point; the last file of the "
                    "archive, MULETTO-ERRORS.txt, names them. The first: {}",
                    base::format_count(figures.problem_count, "thing"), figures.first_problem));
  }
  json own_figures() override {
    const reading::ArchiveFigures& figures = archive_.figures();
    return {{"file_count", figures.file_count},
            {"file_bytes", figures.size},
            {"left_out", figures.left_out},
            {"problem_count", figures.problem_count}};
  }

 private:
  reading::ArchiveStream archive_;
};

// A browser must not show what a client's disk holds as a page of the appliance.
void make_attachment(Response& response, const std::string& name) {
  std::string text = reading::text_of_name(name);
  response.headers["Content-Disposition"] =
      "attachment; filename*=UTF-8''" + base::encode_percent(text);
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Content-Security-Policy"] = "sandbox";
}

std::string line_of(const json& fields) { return base::dump_text(fields) + "\n"; }

class Search {
 public:
  Search(AskedFile asked, const SearchOrder& order) : asked_(std::move(asked)) {
    reading::WalkRequest request;
    request.file_system = asked_.file_system;
    request.path = asked_.place.path;
    request.pattern = order.pattern;
    request.ignores_case = order.ignores_case;
    asked_.process->begin_walk(request);
    first_ = make_lines();  // what is wrong with the path is an answer of its own
  }

  std::string next() { return first_ ? *std::exchange(first_, std::nullopt) : make_lines(); }

 private:
  std::string make_lines() {
    std::string lines;
    auto begin = Clock::now();
    while (!is_over_ && lines.size() < kLinesPiece && Clock::now() - begin < kLongestPiece)
      step(lines);
    if (lines.empty() && !is_over_) lines = progress_line();
    return lines;
  }

  std::string whole_path(const std::string& path) const {
    const std::string& top = asked_.place.path;
    return reading::text_of_name(path.empty() ? top : (top == "/" ? "" : top) + "/" + path);
  }
  std::string progress_line() const {
    return line_of(
        {{"progress",
          {{"folder_count", progress_.folder_count}, {"file_count", progress_.file_count}}}});
  }
  void step(std::string& lines) {
    reading::Event event = asked_.process->next();
    if (auto* entry = std::get_if<reading::Entry>(&event)) {
      json file = reading::node_json("", entry->node);
      file.erase("name");
      file["path"] = whole_path(entry->path);
      lines += line_of({{"file", file}});
    } else if (auto* problem = std::get_if<reading::Problem>(&event)) {
      lines +=
          line_of({{"problem", {{"path", whole_path(problem->path)}, {"reason", problem->why}}}});
    } else if (auto* progress = std::get_if<reading::Progress>(&event)) {
      progress_ = *progress;
    } else if (auto* end = std::get_if<reading::End>(&event)) {
      if (!end->is_good) throw Error(end->code, end->words);
      is_over_ = true;
      lines += progress_line() + line_of({{"end", true}});
    }
  }

  AskedFile asked_;
  std::optional<std::string> first_;
  reading::Progress progress_;
  bool is_over_ = false;
};

class Changes {
 public:
  Changes(AskedFile before, AskedFile after)
      : before_(std::move(before)), after_(std::move(after)),
        comparison_({*before_.process, before_.file_system, before_.place.path},
                    {*after_.process, after_.file_system, after_.place.path}) {}

  std::string next() {
    std::string lines;
    auto begin = Clock::now();
    while (waiting_ < changes_.size() && lines.size() < kLinesPiece)
      lines += line_of(reading::change_json(changes_[waiting_++]));
    while (lines.empty() && !is_over_ && Clock::now() - begin < kLongestPiece) read_folder(lines);
    if (lines.empty() && !is_over_)
      lines = line_of({{"progress", {{"folder_count", comparison_.folder_count()}}}});
    return lines;
  }

 private:
  void read_folder(std::string& lines) {
    std::optional<std::vector<reading::Change>> found = comparison_.next();
    is_over_ = !found;
    if (is_over_) {
      lines += line_of({{"end", true}});
      return;
    }
    changes_ = std::move(*found);
    waiting_ = 0;
    while (waiting_ < changes_.size() && lines.size() < kLinesPiece)
      lines += line_of(reading::change_json(changes_[waiting_++]));
  }

  AskedFile before_, after_;
  reading::Comparison comparison_;
  std::vector<reading::Change> changes_;
  size_t waiting_ = 0;
  bool is_over_ = false;
};

template <typename Stream>
Response stream_of(std::shared_ptr<Stream> stream, const std::string& content_type) {
  Response response;
  response.content_type = content_type;
  response.stream = [stream = std::move(stream)] { return stream->next(); };
  return response;
}

}  // namespace

Response download_file(jobs::JobRunner& jobs, AskedFile asked, const std::string& range_text,
                       const access::Requester& who) {
  reading::Node node = asked.process->look(asked.file_system, asked.place.path);
  if (node.kind != reading::NodeKind::file)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not a file ({}): download it as an archive",
                            text_of(asked.place), reading::kind_name(node.kind)));
  ByteRange range;
  RangeResult result = parse_range(range_text, node.size, range);
  if (result == RangeResult::impossible) {
    Response response = error_response(Error(
        ErrorCode::invalid_argument, fmt::format("the file has {} bytes: the range is beyond its "
                                                 "end",
                                                 node.size)));
    response.status = 416;
    response.headers["Content-Range"] = fmt::format("bytes */{}", node.size);
    return response;
  }
  std::string name = asked.place.path.substr(asked.place.path.rfind('/') + 1);
  auto download = std::make_shared<RawDownload>(jobs, std::move(asked), who, range);
  download->begin();
  Response response = stream_of(download, "application/octet-stream");
  response.stream_size = range.length;
  response.headers["Accept-Ranges"] = "bytes";
  response.headers["Muletto-Job"] = download->job_number();
  if (result == RangeResult::part) {
    response.status = 206;
    response.headers["Content-Range"] =
        fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, node.size);
  }
  make_attachment(response, name);
  return response;
}

Response download_archive(jobs::JobRunner& jobs, AskedFile asked, reading::ArchiveFormat format,
                          const access::Requester& who) {
  bool is_tar = format == reading::ArchiveFormat::tar;
  std::string name = reading::archive_name(
      asked.process.look().found().file_systems.at(asked.file_system), asked.place);
  auto download = std::make_shared<ArchiveDownload>(jobs, std::move(asked), who, format, name);
  download->begin();
  Response response = stream_of(download, is_tar ? "application/x-tar" : "application/zip");
  response.headers["Muletto-Job"] = download->job_number();
  make_attachment(response, name + (is_tar ? ".tar" : ".zip"));
  return response;
}

Response search_files(AskedFile asked, const SearchOrder& order) {
  return stream_of(std::make_shared<Search>(std::move(asked), order), "application/x-ndjson");
}

Response compare_files(AskedFile before, AskedFile after) {
  return stream_of(std::make_shared<Changes>(std::move(before), std::move(after)),
                   "application/x-ndjson");
}

}  // namespace appliance::api
