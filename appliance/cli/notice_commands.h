// The commands about channels, and about being notified. Each is in a file of its own name.
#pragma once

#include "base/program.h"

namespace appliance::cli {

base::Command alert_silence_command();
base::Command channel_create_command();
base::Command channel_delete_command();
base::Command channel_list_command();
base::Command channel_show_command();
base::Command channel_test_command();

}  // namespace appliance::cli
