#include "appliance/api/routes/page_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::string_view kIndex = "index.html";
constexpr std::string_view kCompressed = ".gz";
constexpr size_t kMaxNameSize = 128;

bool is_plain(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9');
}

bool is_served_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameSize || !is_plain(name.front())) return false;
  return std::ranges::all_of(
      name, [](char byte) { return is_plain(byte) || byte == '.' || byte == '_' || byte == '-'; });
}

std::string type_of(std::string_view name) {
  static const std::map<std::string_view, std::string> kTypes{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".woff2", "font/woff2"},
      {".txt", "text/plain; charset=utf-8"}};
  auto found = kTypes.find(name.substr(std::min(name.rfind('.'), name.size())));
  return found == kTypes.end() ? "application/octet-stream" : found->second;
}

// noVNC shows what it gets as JPEG or PNG through data: addresses, and cursors too; they are the only
// reason for that source. Nothing may come from another host, no script or style may be inline, and no
// text can become markup: a sink for it throws (Trusted Types).
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "font-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types "
    "'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

void confine(Response& response) {
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Referrer-Policy"] = "no-referrer";
  response.headers["Cross-Origin-Opener-Policy"] = "same-origin";
  response.headers["Cross-Origin-Resource-Policy"] = "same-origin";
  response.headers["Content-Security-Policy"] = kPolicy;
}

}  // namespace

std::string page_folder(const std::string& configured) {
  if (!configured.empty()) return configured;
  std::error_code ignored;
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return (program.parent_path() / "../share/muletto/page").lexically_normal().string();
}

PageFiles::PageFiles(base::FileSystem& files, const std::string& folder) : folder_(folder) {
  try {
    if (files.exists(base::join_path(folder, std::string(kIndex)))) read(files, folder);
  } catch (const std::exception& error) {
    files_.clear();
    problem_ = fmt::format("The page in {} cannot be read: {}.", folder, error.what());
    base::log().error("{}", problem_);
  }
}

void PageFiles::read(base::FileSystem& files, const std::string& folder) {
  uint64_t size = 0;
  for (const std::string& name : files.list(folder)) {
    if (!is_served_name(name)) continue;
    bool is_compressed = name.ends_with(kCompressed);
    std::string of = is_compressed ? name.substr(0, name.size() - kCompressed.size()) : name;
    base::Bytes bytes = base::read_file(files, base::join_path(folder, name), kMaxFileSize);
    size += bytes.size();
    File& file = files_[of];
    (is_compressed ? file.compressed : file.content) = std::string(base::as_text(bytes));
    if (files_.size() > kMaxFiles || size > kMaxSize)
      throw Error(ErrorCode::invalid_argument, "it has more or larger files than a page has");
  }
  // What is there only compressed has no name of its own.
  std::erase_if(files_, [](const auto& entry) { return entry.second.content.empty(); });
}

Response PageFiles::answer(const Request& request, const std::string& name,
                           const File& file) const {
  Response response;
  response.content_type = type_of(name);
  confine(response);
  response.headers["Vary"] = "Accept-Encoding";
  if (request.accepts_gzip && !file.compressed.empty()) {
    response.headers["Content-Encoding"] = "gzip";
    response.body = file.compressed;
  } else {
    response.body = file.content;
  }
  return response;
}

Response PageFiles::index(const Request& request) const {
  auto found = files_.find(kIndex);
  if (found != files_.end()) return answer(request, found->first, found->second);
  Response response;
  response.status = 404;
  response.content_type = "text/plain; charset=utf-8";
  confine(response);
  std::string why = problem_.empty() ? fmt::format("There is none in {}.", folder_) : problem_;
  response.body = fmt::format(
      "This is a Muletto appliance. The page for browsers is not installed on it. {} The command "
      "'muletto' and the API under /api/v1 work without it.\n",
      why);
  return response;
}

Response PageFiles::file(const Request& request, const std::string& name) const {
  auto found = files_.find(name);
  if (found == files_.end() || name == kIndex)
    throw Error(ErrorCode::not_found, "the page has no such file: load the page again");
  Response response = answer(request, found->first, found->second);
  response.headers["Cache-Control"] = "public, max-age=31536000, immutable";
  return response;
}

}  // namespace appliance::api
