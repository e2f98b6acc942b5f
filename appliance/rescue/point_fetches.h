// Points that are read over the network by whoever restores without an agent: muletto-restore with an
// operator's token, and the rescue image with its session (rescue_codes.h). The connection speaks the
// transfer protocol's session that reads (docs/protocol.md, section 4); what may be read was decided
// before it was handed over, so READ_POINT's ticket is not looked at.
//
// Each session is a job of the kind "fetch", so that it is seen who read what, and can be cancelled.
// Thread-safe: serve() runs on one thread per session.
#pragma once

#include <map>
#include <set>
#include <string>

#include "appliance/access/requester.h"
#include "appliance/access/tenant_name.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"
#include "base/byte_stream.h"
#include "base/guarded.h"

namespace appliance::rescue {

struct Fetch {
  access::TenantName tenant;
  std::string point;               // a selector, as StoreReader::find_point() takes
  std::set<std::string> machines;  // whose points may be read; empty: any of the tenant
  uint64_t rescue = 0;             // the rescue session that reads; 0: none
};

class PointFetches {
 public:
  // Both must outlive it.
  PointFetches(stores::TenantStores& stores, jobs::JobRunner& jobs)
      : stores_(stores), jobs_(jobs) {}

  // Serves one connection to its end. Throws the error that ended it, if it did not end cleanly.
  void serve(base::ByteStream& stream, const Fetch& fetch, const access::Requester& requester);

  // Closes the connections of a rescue session.
  void cut(uint64_t rescue);

 private:
  friend class FetchSession;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  base::Guarded<std::map<base::ByteStream*, uint64_t>> streams_;  // of rescue sessions; alive
};

// The point that the selector means. Throws not_found for one of another machine, as if it did not
// exist, and what StoreReader::find_point() throws.
images::Point find_fetchable(images::StoreReader& reader, const std::string& selector,
                             const std::set<std::string>& machines);

}  // namespace appliance::rescue
