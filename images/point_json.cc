#include "images/point_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace images {
namespace {

using nlohmann::json;

json to_json(const MachineDefinition& definition) {
  json cards = json::array();
  for (const NetworkCard& card : definition.network_cards) {
    cards.push_back({{"mac", card.mac}, {"model", card.model}, {"network", card.network}});
  }
  json files = json::array();
  for (const auto& [name, content] : definition.state_files) {
    files.push_back({{"name", name}, {"hex", base::to_hex(content)}});
  }
  return {{"firmware", firmware_name(definition.firmware)}, {"cpu_count", definition.cpu_count},
          {"memory_size", definition.memory_size},          {"network_cards", cards},
          {"libvirt_xml", definition.libvirt_xml},          {"state_files", files}};
}

MachineDefinition definition_from(const json& object) {
  MachineDefinition definition;
  definition.firmware = firmware_from_name(object.at("firmware").get<std::string>());
  definition.cpu_count = object.at("cpu_count").get<uint32_t>();
  definition.memory_size = object.at("memory_size").get<uint64_t>();
  for (const json& card : object.at("network_cards")) {
    definition.network_cards.push_back({card.at("mac"), card.at("model"), card.at("network")});
  }
  definition.libvirt_xml = object.at("libvirt_xml");
  for (const json& file : object.at("state_files")) {
    std::string hex = file.at("hex");
    definition.state_files.emplace_back(file.at("name"), base::from_hex(hex, hex.size() / 2));
  }
  return definition;
}

json to_json(const SyncFigures& figures) {
  return {{"bytes_read", figures.bytes_read},
          {"bytes_sent", figures.bytes_sent},
          {"bytes_stored", figures.bytes_stored},
          {"duration_ms", figures.duration_ms},
          {"frozen_ms", figures.frozen_ms}};
}

SyncFigures figures_from(const json& object) {
  return {object.at("bytes_read"), object.at("bytes_sent"), object.at("bytes_stored"),
          object.at("duration_ms"), object.at("frozen_ms")};
}

base::Bytes dump(const json& object) {
  std::string text = base::dump_text(object);
  return base::Bytes(text.begin(), text.end());
}

// Runs `read` on the parsed text; every failure is `corrupt`.
template <typename Read>
auto parse(base::ByteView bytes, Read read) {
  try {
    return read(base::parse_json(base::as_text(bytes), "the text", base::kOwnJsonLimits));
  } catch (const json::exception& error) {
    throw base::Error(base::ErrorCode::corrupt,
                      std::string("a point's details are damaged: ") + error.what());
  } catch (const base::Error& error) {
    throw base::Error(base::ErrorCode::corrupt,
                      "a point's details are damaged: " + error.message());
  }
}

}  // namespace

base::Bytes encode_point_details(const Point& point) {
  json names = json::array();
  for (const PointDisk& disk : point.disks) names.push_back(disk.name);
  return dump({{"machine", point.machine_name},
               {"host", point.host},
               {"definition", to_json(point.definition)},
               {"disks", names},
               {"figures", to_json(point.figures)},
               {"note", point.note}});
}

Point decode_point_details(base::ByteView bytes) {
  return parse(bytes, [](const json& object) {
    Point point;
    point.machine_name = object.at("machine");
    base::check_name(point.machine_name, "machine's name");
    point.host = object.at("host");
    point.definition = definition_from(object.at("definition"));
    for (const json& name : object.at("disks")) {
      point.disks.emplace_back();
      point.disks.back().name = name;
      base::check_name(point.disks.back().name, "disk's name");
    }
    point.figures = figures_from(object.at("figures"));
    point.note = object.at("note");
    return point;
  });
}

base::Bytes encode_details(const PointDetails& details) {
  return dump({{"host", details.host},
               {"time_ms", details.time_ms},
               {"consistency", consistency_name(details.consistency)},
               {"definition", to_json(details.definition)},
               {"figures", to_json(details.figures)},
               {"note", details.note}});
}

PointDetails decode_details(base::ByteView bytes) {
  return parse(bytes, [](const json& object) {
    PointDetails details;
    details.host = object.at("host");
    details.time_ms = object.at("time_ms");
    details.consistency = consistency_from_name(object.at("consistency").get<std::string>());
    details.definition = definition_from(object.at("definition"));
    details.figures = figures_from(object.at("figures"));
    details.note = object.at("note");
    return details;
  });
}

}  // namespace images
