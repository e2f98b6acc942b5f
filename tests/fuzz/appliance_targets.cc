#include "tests/fuzz/appliance_targets.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/_experimental/test/stream.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdlib>
#include <pugixml.hpp>

#include "appliance/api/console/vnc_login.h"
#include "appliance/api/http/http.h"
#include "appliance/boot/guest/agent_replies.h"
#include "appliance/boot/host/arp.h"
#include "appliance/boot/machine/domain_translation.h"
#include "appliance/boot/machine/fat_reader.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/model/boot_record.h"
#include "appliance/config.h"
#include "appliance/verify/anonymizer.h"
#include "appliance/verify/console_text.h"
#include "appliance/verify/picture.h"
#include "appliance/verify/taught_text.h"
#include "appliance/verify/verdict_case.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "base/xml/xml_tree.h"
#include "images/volumes/keys/volume_search.h"
#include "images/volumes/mapped_volume.h"
#include "tests/images/volumes/volume_images.h"

namespace tests {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace boot = appliance::boot;
namespace verify = appliance::verify;
using base::Bytes;
using base::ByteView;
using images::FuzzTarget;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
std::string text_of(ByteView bytes) { return std::string(base::as_text(bytes)); }

std::function<void(ByteView)> quietly(std::function<void(ByteView)> decode) {
  return [decode = std::move(decode)](ByteView bytes) {
    try {
      decode(bytes);
    } catch (const base::Error& error) {
      if (!base::is_valid_utf8(error.message())) std::abort();
    }
  };
}

void expect(bool good) {
  if (!good) std::abort();
}

// ---- definitions

constexpr std::string_view kDefinition = R"(<domain type='kvm'><name>web</name>
<uuid>5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b</uuid><memory unit='MiB'>512</memory><vcpu>2</vcpu>
<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><loader secure='yes'/>
<boot dev='hd'/></os><features><hyperv><relaxed state='on'/></hyperv></features>
<cpu><topology sockets='1' cores='2' threads='1'/></cpu><clock offset='localtime'/>
<devices><disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/>
<serial>A&#xD800;B</serial><boot order='1'/><address type='pci' slot='0x04'/></disk>
<controller type='pci' index='1' model='pcie-root-port'><target chassis='1' port='0x8'/></controller>
<interface type='network'><mac address='52:54:00:01:02:03'/><model type='virtio'/></interface>
<hostdev mode='subsystem'/><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
<input type='tablet'/></devices></domain>)";

// From the definition to the domain and the record, which must be readable again.
void plan(ByteView bytes) {
  images::Point point;
  point.machine_name = "web";
  point.definition.libvirt_xml = text_of(bytes);
  point.disks.push_back({});
  point.disks.back().name = "vda";
  point.disks.back().size = 1 << 20;
  boot::HypervisorFacts facts;
  facts.cpu_count = 4;
  facts.memory_size = facts.memory_available = 8ull << 30;
  facts.uefi_firmwares = {{"/fw/CODE.fd", "/fw/VARS.fd", 540672, false}};
  facts.has_tpm = true;
  facts.machine_types = {"pc", "q35", "pc-q35-7.2"};
  boot::MachinePlan planned = boot::plan_machine(point, {}, {}, facts);
  for (const auto* sentences : {&planned.notes, &planned.reasons}) {
    for (const std::string& each : *sentences) expect(base::is_valid_utf8(each));
  }
  boot::BootRecord record;
  record.vm.machine_name = point.machine_name;
  record.vm.accelerator = boot::Accelerator::tcg;
  record.vm.notes = planned.notes;
  std::string text = boot::record_to_json(record);
  expect(text.size() < 1 << 20);
  boot::record_from_json(text, "the record");
  boot::DomainPaths paths{boot::boot_paths("/state", "/run", record.vm.id), "/state"};
  std::string xml = boot::domain_xml(planned, record, paths, facts.uefi_firmwares.data());
  expect(base::is_valid_utf8(xml));
}

Bytes sample_record() {
  boot::BootRecord record;
  record.vm.machine_name = "web";
  record.vm.accelerator = boot::Accelerator::tcg;
  record.vm.notes = {"A note."};
  record.vm.disks = {{"vda", "vda", "/x/overlay-vda.qcow2", 1 << 20, 0}};
  record.vm.network_cards = {{"52:54:00:01:02:03", boot::NetworkMode::isolated, "net"}};
  return bytes_of(boot::record_to_json(record));
}

// ---- pictures

verify::Picture sample_picture() {
  verify::Picture picture{24, 16, {}};
  for (size_t i = 0; i < size_t{3} * 24 * 16; ++i)
    picture.rgb.push_back(static_cast<uint8_t>(i * i));
  return picture;
}

void look_at(const verify::Picture& picture) {
  expect(picture.rgb.size() == size_t{3} * picture.width * picture.height);
  if (picture.rgb.size() > 1 << 20) return;  // larger ones only cost time
  verify::Picture small = verify::reduced(picture, 10, 10);
  expect(small.width <= 10 && small.height <= 10);
  verify::is_blank(small);
  verify::recognition_pgm(small);
  verify::unpack_picture(verify::pack_picture(small));
}

Bytes sample_ppm() {
  verify::Picture picture = sample_picture();
  Bytes ppm = bytes_of("P6\n24 16\n255\n");
  ppm.insert(ppm.end(), picture.rgb.begin(), picture.rgb.end());
  return ppm;
}

// ---- the network

// The peer of a VNC connection says `bytes`, and then nothing more.
void log_in(ByteView bytes, bool is_vm) {
  asio::io_context context;
  appliance::api::VncPeer peer;
  peer.read = [&bytes](base::MutableByteView into) -> asio::awaitable<void> {
    if (into.size() > bytes.size())
      throw base::Error(base::ErrorCode::unavailable, "the connection ended");
    std::copy_n(bytes.begin(), into.size(), into.begin());
    bytes = bytes.subspan(into.size());
    co_return;
  };
  peer.write = [](ByteView) -> asio::awaitable<void> { co_return; };
  std::exception_ptr failure;
  asio::co_spawn(
      context,
      is_vm ? appliance::api::log_in_to_vm(peer, "secret") : appliance::api::let_client_in(peer),
      [&](std::exception_ptr thrown) { failure = thrown; });
  context.run();
  if (failure) std::rethrow_exception(failure);
}

// As the server reads a request: the parser with the server's limits, then the target.
void read_request(ByteView bytes) {
  beast::http::request_parser<beast::http::string_body> parser;
  parser.header_limit(appliance::api::kMaxHeaderSize);
  parser.body_limit(appliance::api::kMaxBodySize);
  parser.eager(true);
  beast::error_code error;
  while (!bytes.empty() && !error && !parser.is_done()) {
    size_t taken = parser.put(asio::buffer(bytes.data(), bytes.size()), error);
    if (taken == 0) break;
    bytes = bytes.subspan(taken);
  }
  if (!parser.is_header_done()) return;
  appliance::api::parse_target(std::string_view(parser.get().target()));
}

// A browser's frames after the upgrade, read with the limits of the console.
void read_frames(ByteView bytes) {
  asio::io_context context;
  beast::test::stream ours(context), theirs(context);
  ours.connect(theirs);
  ours.append(
      "GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  ours.append(base::as_text(bytes));
  theirs.close();
  beast::websocket::stream<beast::test::stream&> socket(ours);
  beast::error_code error;
  socket.read_message_max(64 << 10);
  socket.accept(error);
  std::array<char, 4096> buffer;
  while (!error) socket.read_some(asio::buffer(buffer), error);
}

void read_report(ByteView bytes) {
  nlohmann::json report = base::parse_json(base::as_text(bytes), "the report");
  for (const nlohmann::json& each : base::find_list(report, "machines")) {
    base::find_text(each, "name");
    base::find_natural(each, "time_ms");
    base::find_flag(each, "running");
  }
  expect(base::is_valid_utf8(base::dump_text(report)));
}

void read_agent(ByteView bytes) {
  std::string_view text = base::as_text(bytes);
  for (const boot::AddressClaim& claim : boot::read_agent_addresses(text)) {
    expect(claim.prefix <= 128 && claim.address.size() < 50);
    boot::parse_station_ipv4(claim.address);
    boot::parse_mac(claim.mac);
  }
  boot::read_exec_number(text);
  boot::read_exec_status(text);
}

void read_screen_text(ByteView bytes) {
  verify::TextReading reading = verify::read_console(base::as_text(bytes));
  expect(base::is_valid_utf8(reading.line) && reading.line.size() <= 160);
}

// ---- volumes

// The bytes are put on a disk where the descriptions of volumes are, and all that is found is read.
void look_into(ByteView bytes) {
  constexpr size_t kDisk = 4 << 20;
  if (bytes.size() > kDisk) return;
  Bytes disk(kDisk);
  std::copy(bytes.begin(), bytes.end(), disk.begin());
  MemoryDisk memory(std::move(disk));
  images::volumes::Question question{{kDisk}, {{"vda", 0, 0, kDisk}}, {}};
  images::volumes::FoundVolumes found =
      images::volumes::unpack_found(pack_found(find_volumes({&memory}, question)));
  for (const auto& each : found.volumes) {
    images::volumes::MappedVolume volume(found.map, {&memory}, each.source);
    Bytes start(std::min<uint64_t>(volume.size(), 4096));
    volume.read(0, start);
  }
}

// The first sectors of a disk with a physical volume of LVM, and of a member of an array.
Bytes sample_volume() {
  Bytes disk(4 << 20);
  std::string id(32, 'A');
  make_physical_volume(
      disk, id,
      group_text("vg0", 1, physical_text("pv0", id, 3),
                 logical_text("root", 2, "type = \"striped\"\nstripes = [\"pv0\", 1]")));
  disk.resize(8192);
  return disk;
}

Bytes sample_member() {
  Bytes disk(4 << 20);
  make_raid_member(disk, 2, {.used_size = 1 << 20});
  disk.resize(8192);
  return disk;
}

void read_answer(ByteView bytes) {
  images::volumes::FoundVolumes found = images::volumes::unpack_found(bytes);
  images::volumes::validate(found.map, "the map");
}

Bytes sample_answer() {
  images::volumes::FoundVolumes found;
  found.map.disk_sizes = {1 << 20};
  found.map.layers.push_back(
      {1 << 19, {{.length = 1 << 19, .places = {{0, 1 << 18}}}}, images::volumes::Cipher{}});
  found.map.layers.back().cipher->key.resize(64);
  found.volumes.push_back({"vg0/root", "LVM on vda", 1, false});
  found.unread.push_back({"vg0/data", "it is thin"});
  return pack_found(found);
}

// What a person teaches comes from a guest's screen, and is compared with others.
void learn_screen_text(ByteView bytes) {
  std::string_view text = base::as_text(bytes);
  verify::Lesson lesson = verify::lesson_of(text, {true, true, "", {"web"}});
  expect(lesson.lines.size() <= verify::kTaughtLines);
  expect(lesson.tolerated.size() <= verify::kToleratedLines);
  verify::TaughtTexts taught{{{1, true, lesson.lines, lesson.tolerated}}, {"web"}};
  verify::TextReading reading = verify::read_with_rules(text, taught);
  expect(base::is_valid_utf8(reading.line));
  expect(reading.rule == 0 || !lesson.lines.empty());
  verify::Anonymizer anonymizer({"web"});
  anonymizer.clean(text);
}

void read_and_replay(ByteView bytes) {
  verify::VerdictCase seen = verify::read_case(base::as_text(bytes));
  verify::read_case(verify::case_text(seen));
  verify::replay(seen, verify::Replay::taught);
}

Bytes sample_case() {
  verify::VerdictCase seen;
  seen.label = "pass";
  seen.said = "inconclusive";
  seen.judging.evidence.observations = {{.at_ms = 5, .detail = "Till ready"}};
  seen.judging.limits.total_ms = 1000;
  seen.lesson = {{1, true, {"till ready"}, {}}};
  seen.screens = {{5, "Till ready\n"}};
  return bytes_of(verify::case_text(seen));
}

// ---- disks of points

class ViewedDisk : public images::DiskSource {
 public:
  explicit ViewedDisk(ByteView content) : content_(content) {}
  uint64_t size() const override { return content_.size(); }
  std::vector<images::Extent> extents(uint64_t, uint64_t) override { return {}; }
  void read(uint64_t offset, base::MutableByteView out) override {
    expect(offset <= content_.size() && out.size() <= content_.size() - offset);
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  ByteView content_;
};

void read_fat(ByteView bytes) {
  ViewedDisk disk(bytes);
  auto reader = boot::FatReader::open(disk, 0);
  if (!reader) return;
  for (const char* folder : {"", "EFI", "EFI/BOOT"}) {
    auto entries = reader->list(folder);
    expect(entries.size() <= boot::FatReader::kMaxEntries);
    for (const boot::FatEntry& each : entries) expect(base::is_valid_utf8(each.name));
  }
}

// FAT12 with 64 sectors: the folder EFI with one file.
Bytes sample_fat() {
  constexpr size_t kSector = 512, kSectors = 64;
  Bytes disk(kSector * kSectors);
  auto put = [&](size_t at, std::string_view bytes) {
    std::copy(bytes.begin(), bytes.end(), disk.begin() + static_cast<ptrdiff_t>(at));
  };
  // 512 bytes a sector, 1 a cluster, 1 reserved, 1 table of 1 sector, 16 entries in the root.
  put(11, std::string_view("\x00\x02\x01\x01\x00\x01\x10\x00\x40\x00\xf8\x01\x00", 13));
  put(54, "FAT12   ");
  put(510, "\x55\xaa");
  put(kSector, std::string_view("\xf8\xff\xff\xff\xff\x0f", 6));  // clusters 2 and 3 end
  put(2 * kSector, std::string_view("EFI        \x10", 12));
  put(2 * kSector + 26, std::string_view("\x02", 1));
  put(3 * kSector, std::string_view("GRUBX64 EFI\x20", 12));
  put(3 * kSector + 26, std::string_view("\x03", 1));
  return disk;
}

}  // namespace

std::vector<FuzzTarget> appliance_targets() {
  return {
      {"volumes", quietly(look_into), {sample_volume(), sample_member()}},
      {"volume_answer", quietly(read_answer), {sample_answer()}},
      {"definition", quietly(plan), {bytes_of(kDefinition)}},
      {"xml_tree",
       quietly([](ByteView bytes) {
         pugi::xml_document document;
         base::xml::unpack_xml(bytes, document);
       }),
       {base::xml::pack_xml(kDefinition)}},
      {"boot_record",
       quietly([](ByteView b) { boot::record_from_json(base::as_text(b), "the record"); }),
       {sample_record()}},
      {"agent_reply",
       quietly(read_agent),
       {bytes_of(R"({"return":[{"name":"eth0","hardware-address":"52:54:00:01:02:03",)"
                 R"("ip-addresses":[{"ip-address":"10.0.0.5","prefix":24}]}]})"),
        bytes_of(R"({"return":{"pid":7,"exited":true,"exitcode":0}})")}},
      {"arp",
       quietly([](ByteView b) { boot::hear(b); }),
       {boot::arp_question({2, 0, 0, 0, 0, 1}, 0x0a000005, 0x0a000001)}},
      {"picture_png",
       quietly([](ByteView b) { look_at(verify::decode_picture("image/png", b)); }),
       {verify::encode_png(sample_picture())}},
      {"picture_ppm",
       quietly([](ByteView b) { look_at(verify::decode_picture("image/x-portable-pixmap", b)); }),
       {sample_ppm()}},
      {"picture_packed",
       quietly([](ByteView b) { look_at(verify::unpack_picture(b)); }),
       {verify::pack_picture(sample_picture())}},
      {"screen_text",
       quietly(read_screen_text),
       {bytes_of("\x1b[2J\x1b[1;1Hweb login: _\n"), bytes_of("Kernel panic - not syncing\n")}},
      {"taught_text",
       quietly(learn_screen_text),
       {bytes_of("ACME till 4  10:21:33\nReady for the next customer.\n"),
        bytes_of("EXT4-fs error (device sda1): bad entry\nkai@example.org 10.0.0.5\n")}},
      {"case", quietly(read_and_replay), {sample_case()}},
      {"fat", quietly(read_fat), {sample_fat()}},
      {"vnc_vm",
       quietly([](ByteView b) { log_in(b, true); }),
       {bytes_of(std::string_view("RFB 003.008\n\x01\x02"
                                  "0123456789abcdef\0\0\0\0",
                                  34))}},
      {"vnc_client",
       quietly([](ByteView b) { log_in(b, false); }),
       {bytes_of("RFB 003.008\n\x01\x01")}},
      {"http_request",
       quietly(read_request),
       {bytes_of("POST /api/v1/points?tenant=a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
                 "{}")}},
      {"websocket",
       quietly(read_frames),
       {bytes_of(
           std::string_view("\x82\x83\x01\x02\x03\x04\x11\x22\x33\x89\x80\x01\x02\x03\x04", 15))}},
      {"report", quietly(read_report), {bytes_of(R"({"machines":[{"name":"web","time_ms":5}]})")}},
      {"config",
       quietly([](ByteView b) { appliance::parse_config(base::as_text(b), "the file"); }),
       {bytes_of("listen = \"127.0.0.1:7443\"\n[verification]\nwatch_on = \"3s\"\n")}},
  };
}

}  // namespace tests
