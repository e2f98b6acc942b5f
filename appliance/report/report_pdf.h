// The page as PDF, made by WeasyPrint in a child process without privileges or network. Blocks for
// seconds.
#pragma once

#include <string>

#include "base/bytes.h"

namespace appliance::report {

// Throws unsupported if weasyprint is not installed, io with its error message if it fails.
base::Bytes pdf_from_html(const std::string& html);

}  // namespace appliance::report
