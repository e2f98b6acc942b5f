#include "appliance/schedule/compaction.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_access.h"
#include "base/text.h"

namespace appliance::schedule {

jobs::JobId submit_compaction(jobs::JobRunner& jobs, stores::TenantStores& stores,
                              const access::TenantName& tenant,
                              const access::Requester& requested_by) {
  jobs::JobSpec spec{"compact", tenant, tenant, requested_by, "compact " + tenant.text()};
  return jobs.submit(spec, [&stores, tenant](jobs::JobContext& context) {
    images::CompactOptions options;
    options.stop = context.stop();
    images::CompactResult result = stores.require_writable(tenant)->compact(options);
    nlohmann::json figures{{"packs_rewritten", result.packs_rewritten},
                           {"bytes_freed", result.bytes_freed}};
    context.set_figures(base::dump_text(figures));
    context.log(fmt::format("{} rewritten, {} freed",
                            base::format_count(result.packs_rewritten, "pack"),
                            base::format_size(result.bytes_freed)));
  });
}

}  // namespace appliance::schedule
