// The options that every command that writes disks has, and how their progress and outcome are told
// to people. Functions; not thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>

#include "base/program.h"
#include "restore/restore_disk.h"

namespace restore {

// --in-place, --survey, --verify, --overwrite, --erase-foreign, --limit, --threads, --format
void declare_writing(base::options::options_description_easy_init add);

// Everything but store, point, disk and target. Throws invalid_argument.
DiskRestore writing_of(const base::Arguments& arguments, std::stop_token stop);

// Restores one disk; shows a bar or lines for each phase, on standard error.
DiskResult restore_with_progress(images::StoreReader& store, DiskRestore options);

nlohmann::json json_of(const DiskRestore& options, const DiskResult& result);
// "vda of web is in /srv/vda.img: 10.0 GiB, 512.0 MiB differed and were written, read back, 12 s"
std::string sentence_of(const DiskRestore& options, const DiskResult& result);

}  // namespace restore
