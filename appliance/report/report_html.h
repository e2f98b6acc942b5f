// A report as one HTML page that stands alone: styles, pictures and diagrams are inside, nothing is
// fetched, no script. Names and texts in it come from clients and guests, and are escaped. A pure
// function.
#pragma once

#include <string>
#include <string_view>

#include "appliance/report/report_data.h"

namespace appliance::report {

std::string report_html(const TenantReport& report);

// Text as HTML shows it, in elements and quoted attributes; control characters become blanks.
std::string escape_html(std::string_view text);

}  // namespace appliance::report
