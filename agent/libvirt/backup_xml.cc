#include "agent/libvirt/backup_xml.h"

#include <pugixml.hpp>
#include <sstream>

namespace agent::libvirt {
namespace {

std::string text_of(const pugi::xml_document& document) {
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

void set(pugi::xml_node node, const char* name, const std::string& value) {
  node.append_attribute(name).set_value(value.c_str());
}

}  // namespace

std::string backup_xml(const std::string& socket_path, const std::vector<BackupDisk>& disks) {
  pugi::xml_document document;
  pugi::xml_node backup = document.append_child("domainbackup");
  set(backup, "mode", "pull");
  pugi::xml_node server = backup.append_child("server");
  set(server, "transport", "unix");
  set(server, "socket", socket_path);
  pugi::xml_node list = backup.append_child("disks");
  for (const BackupDisk& disk : disks) {
    pugi::xml_node node = list.append_child("disk");
    set(node, "name", disk.name);
    set(node, "backup", disk.captured ? "yes" : "no");
    if (!disk.captured) continue;
    set(node, "type", "file");
    set(node, "backupmode", disk.since.empty() ? "full" : "incremental");
    set(node, "exportname", disk.name);
    if (!disk.since.empty()) {
      set(node, "incremental", disk.since);
      set(node, "exportbitmap", kExportedBitmap);
    }
    set(node.append_child("driver"), "type", "qcow2");
    set(node.append_child("scratch"), "file", disk.scratch_path);
  }
  return text_of(document);
}

std::string checkpoint_xml(const std::string& name, const std::vector<BackupDisk>& disks) {
  pugi::xml_document document;
  pugi::xml_node checkpoint = document.append_child("domaincheckpoint");
  checkpoint.append_child("name").text().set(name.c_str());
  pugi::xml_node list = checkpoint.append_child("disks");
  for (const BackupDisk& disk : disks) {
    pugi::xml_node node = list.append_child("disk");
    set(node, "name", disk.name);
    set(node, "checkpoint", disk.tracked ? "bitmap" : "no");
  }
  return text_of(document);
}

}  // namespace agent::libvirt
