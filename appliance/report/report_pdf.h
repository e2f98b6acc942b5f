// The page as PDF, by WeasyPrint as a child process without rights or network. Blocks for seconds.
#pragma once

#include <string>

#include "base/bytes.h"

namespace appliance::report {

// Throws unsupported if weasyprint is not installed, io with its words if it fails.
base::Bytes pdf_from_html(const std::string& html);

}  // namespace appliance::report
