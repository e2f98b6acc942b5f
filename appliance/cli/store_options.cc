#include "appliance/cli/store_options.h"

#include "base/text.h"

namespace appliance::cli {

void declare_key(base::options::options_description_easy_init add) {
  using base::options::value;
  add("key-file", value<std::string>()->value_name("FILE"),
      "file with the key of an encrypted store")(
      "passphrase-file", value<std::string>()->value_name("FILE"),
      "file with the passphrase of an encrypted store, in its first line");
}

images::KeySource key_of(const base::Arguments& arguments) {
  return images::read_key_source(arguments.get_or<std::string>("passphrase-file", ""),
                                 arguments.get_or<std::string>("key-file", ""));
}

nlohmann::json figures_json(const images::StoreFigures& figures) {
  return {{"machine_count", figures.machine_count}, {"point_count", figures.point_count},
          {"logical_size", figures.logical_size},   {"chunk_count", figures.chunk_count},
          {"live_size", figures.live_size},         {"pack_size", figures.pack_size},
          {"pack_count", figures.pack_count}};
}

nlohmann::json summary_json(const images::PointSummary& point) {
  nlohmann::json parent, origin;  // null: none, or unknown
  if (point.lineage.parent) parent = point.lineage.parent->hex();
  if (point.lineage.origin) {
    origin = {{"store", point.lineage.origin->store.hex()},
              {"point", point.lineage.origin->point.hex()}};
  }
  return {{"id", point.id.hex()},
          {"machine", point.machine_name},
          {"time", base::format_time_ms(point.time_ms)},
          {"host_time", base::format_time_ms(point.dates.host_time_ms)},
          {"clock_note", images::clock_note(point.time_ms, point.dates)},
          {"size", point.size},
          {"consistency", images::consistency_name(point.consistency)},
          {"parent", parent},
          {"origin", origin}};
}

}  // namespace appliance::cli
