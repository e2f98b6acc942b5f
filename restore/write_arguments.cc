#include "restore/write_arguments.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"

namespace restore {
namespace {

using base::options::value;

std::string ask_on_terminal(const std::string& question) {
  fmt::print(stderr, "{} ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return base::trim(answer);
}

}  // namespace

void declare_writing(base::options::options_description_easy_init add) {
  add("format",
      value<std::string>()->default_value("raw")->value_name(
          "raw|qcow2|vmdk|vhdx|vdi|vpc|qcow|qed|parallels"),
      "format of the files");
  add("in-place",
      "write into the raw file that is there, and only what differs; an interrupted one is resumed "
      "by the same command");
  add("survey", "write nothing: say how much differs from what is there");
  add("verify", value<std::string>()->default_value("written")->value_name("written|all|none"),
      "what is read back at the end and compared with the point");
  add("overwrite", value<std::string>()->value_name("NAME"),
      "what is there may be lost; NAME is the machine's name");
  add("erase-foreign", "with --overwrite: also what belongs to another disk");
  add("limit", value<std::string>()->value_name("SIZE"), "bytes written per second at most: 50M");
  add("threads", value<uint32_t>()->default_value(4)->value_name("COUNT"),
      "how many threads decompress, hash and write");
}

DiskRestore writing_of(const base::Arguments& arguments, std::stop_token stop) {
  DiskRestore options;
  options.format = arguments.get("format");
  if (arguments.has("in-place")) options.placement = Placement::in_place;
  options.overwriting.machine_name = arguments.get_or<std::string>("overwrite", "");
  options.overwriting.erase_foreign = arguments.has("erase-foreign");
  if (options.overwriting.erase_foreign && options.overwriting.machine_name.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "--erase-foreign needs --overwrite with the machine's name");
  }
  if (!arguments.has("overwrite") && ::isatty(STDIN_FILENO) != 0) options.ask = ask_on_terminal;
  options.write.survey = arguments.has("survey");
  options.write.verify = verify_from_name(arguments.get("verify"));
  if (arguments.has("limit")) options.write.rate_limit = base::parse_size(arguments.get("limit"));
  options.write.thread_count = arguments.get<uint32_t>("threads");
  options.write.stop = std::move(stop);
  return options;
}

DiskResult restore_with_progress(images::StoreReader& store, DiskRestore options) {
  base::ProgressStyle style = base::progress_style_of_standard_error();
  // Each measures its rate from its own beginning.
  std::optional<base::ProgressPrinter> compare, verify;
  options.write.on_progress = [&](const WriteProgress& progress) {
    if (progress.phase == WritePhase::compare) {
      if (!compare) compare.emplace(options.disk_name, style);
      compare->show({.done = progress.bytes_compared, .total = progress.bytes_total});
      return;
    }
    if (!verify) verify.emplace(options.disk_name + ", reading back", style);
    bool is_all = options.write.verify == Verify::all;
    verify->show({.done = progress.bytes_verified,
                  .total = is_all ? progress.bytes_total : progress.bytes_written});
  };
  return restore_disk(store, options);
}

nlohmann::json json_of(const DiskRestore& options, const DiskResult& result) {
  nlohmann::json object{{"disk", options.disk_name},
                        {"target", options.target},
                        {"format", options.format},
                        {"size", result.written.bytes_total},
                        {"written", result.written.bytes_written},
                        {"verified", result.written.bytes_verified},
                        {"survey", options.write.survey},
                        {"notes", result.notes},
                        {"duration_ms", result.duration_ms}};
  // qemu-img does not say what of it was zeros.
  if (options.format == "raw") {
    object["differing"] = result.written.bytes_differing;
    object["fetched"] = result.written.bytes_fetched;
  }
  return object;
}

std::string sentence_of(const DiskRestore& options, const DiskResult& result) {
  const WriteResult& written = result.written;
  std::string size = base::format_size(written.bytes_total);
  if (options.write.survey) {
    uint64_t percent =
        written.bytes_total == 0
            ? 0
            : (written.bytes_differing * 100 + written.bytes_total - 1) / written.bytes_total;
    return fmt::format(
        "{} of {}: {} of {} differ from {} ({} %) and would be written; nothing was "
        "written, {}",
        options.disk_name, options.machine_name, base::format_size(written.bytes_differing), size,
        options.target, percent, base::format_duration_ms(result.duration_ms));
  }
  std::string read_back = options.write.verify == Verify::none ? "not read back"
                          : options.write.verify == Verify::written
                              ? "what was written was read back and is equal"
                              : "read back and equal";
  return fmt::format("{} of {} is in {}: {}, {} written, {}, {}", options.disk_name,
                     options.machine_name, options.target, size,
                     base::format_size(written.bytes_written), read_back,
                     base::format_duration_ms(result.duration_ms));
}

}  // namespace restore
