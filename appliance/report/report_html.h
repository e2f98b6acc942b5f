// A report as one self-contained HTML page: styles, pictures and diagrams are inside, nothing is
// fetched, no script. Names and texts in it come from clients and guests, and are escaped. A pure
// function.
#pragma once

#include <string>
#include <string_view>

#include "appliance/report/report_data.h"

namespace appliance::report {

std::string report_html(const TenantReport& report);

// Escapes text for HTML elements and quoted attributes; control characters become blanks.
std::string escape_html(std::string_view text);

}  // namespace appliance::report
