// Answers about files of points that are made piece by piece: downloads, searches, comparisons. Each
// is one request's, and used by one thread at a time.
#pragma once

#include <string>

#include "appliance/api/http/byte_range.h"
#include "appliance/api/http/http.h"
#include "appliance/files/file_looks.h"
#include "images/files/archive_stream.h"
#include "images/files/file_place.h"

namespace appliance::api {

// What a request about a file of a point means.
struct AskedFile {
  files::ProcessLease process;
  uint32_t file_system = 0;
  images::files::FilePlace place;  // with its volume
};

// Each download is a job ("download"), whose number the answer's header Muletto-Job tells, so that
// its outcome can be asked when the answer has ended.
Response download_file(jobs::JobRunner& jobs, AskedFile asked, const std::string& range,
                       const access::Requester& who);
Response download_archive(jobs::JobRunner& jobs, AskedFile asked,
                          images::files::ArchiveFormat format, const access::Requester& who);

struct SearchOrder {
  std::string pattern;  // bytes
  bool ignores_case = false;
};
Response search_files(AskedFile asked, const SearchOrder& order);
Response compare_files(AskedFile before, AskedFile after);

}  // namespace appliance::api
