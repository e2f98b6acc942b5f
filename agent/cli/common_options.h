// Options that every command of muletto-agent has, and the settings that result from them and the
// config file.
#pragma once

#include "agent/config.h"
#include "base/program.h"

namespace agent::cli {

// --config, --state-directory, --run-directory, --libvirt-uri.
void declare_common_options(base::options::options_description_easy_init add);

// The file's settings, overridden by the command line; folders absolute.
Config common_config(const base::Arguments& arguments);

}  // namespace agent::cli
