// What keeping domains off needs of libvirt, over one connection. Functions throw base::Error with
// libvirt's message in it; after that the connection may be of no use, and is best made anew. Not
// thread-safe.
#pragma once

#include <memory>
#include <string>

struct _virConnect;

namespace agent::libvirt {

struct KeptDomain {
  std::string name;  // as asked for, also if there is none
  bool running = false;
  bool autostart = false;
};

class KeptDomains {
 public:
  explicit KeptDomains(const std::string& uri);

  // By name or UUID; one that does not exist neither runs nor starts.
  KeptDomain look(const std::string& name) const;
  void set_autostart(const std::string& name, bool on) const;  // throws not_found
  // Ends its QEMU at once; no error if it does not run.
  void end(const std::string& name) const;

 private:
  std::shared_ptr<_virConnect> connection_;
};

}  // namespace agent::libvirt
