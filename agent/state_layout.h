// Names of files in the agent's state folder (/var/lib/muletto-agent) and run folder
// (/run/muletto-agent).
//   STATE/enrollment.json          the appliance, and this host's key and certificate
//                                  (agent/enrollment.h)
//   STATE/contact.json             when and why the appliance does not answer (agent/contact.h)
//   STATE/machines/HASH.tracking   which checkpoint belongs to the machine's last point
//   STATE/machines/HASH.frozen     exists while the machine's guest may be frozen
//   STATE/machines/HASH.bitmaps    exists while QEMU may hold bitmaps of syncs in its memory
//   STATE/machines/HASH.server     exists while QEMU's NBD server may be a sync's (without libvirt)
//   STATE/machines/HASH.home       what was brought home of the machine (agent/homeward/home_record.h)
//   STATE/machines/HASH.kept-off   exists while the machine runs on the appliance, and not here
//   STATE/machines/HASH.lock       held by the sync of the machine
//   STATE/scratch/HASH-XXXXXX/     where QEMU saves blocks that a guest overwrites during a sync
//   RUN/HASH-XXXXXX/               the socket of a running backup
// HASH is of the machine's name, which may hold anything. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace agent {

std::string enrollment_path(const std::string& state_directory);
std::string contact_path(const std::string& state_directory);
std::string machine_file_name(std::string_view machine_name);
std::string tracking_path(const std::string& state_directory, std::string_view machine_name);
std::string frozen_path(const std::string& state_directory, std::string_view machine_name);
std::string bitmaps_path(const std::string& state_directory, std::string_view machine_name);
std::string server_path(const std::string& state_directory, std::string_view machine_name);
std::string home_record_path(const std::string& state_directory, std::string_view machine_name);
std::string kept_off_path(const std::string& state_directory, std::string_view machine_name);
std::string lock_path(const std::string& state_directory, std::string_view machine_name);
std::string scratch_parent(const std::string& state_directory);

// Creates the folders above; no error if they exist.
void make_agent_directories(const std::string& state_directory, const std::string& run_directory);

}  // namespace agent
