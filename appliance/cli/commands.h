// Every command of `muletto`, one file each.
#pragma once

#include "base/program.h"

namespace appliance::cli {

base::Command status_command();
base::Command events_command();
base::Command machine_list_command();
base::Command machine_show_command();
base::Command machine_assign_command();
base::Command machine_forget_command();
base::Command machine_import_command();
base::Command point_list_command();
base::Command point_show_command();
base::Command point_delete_command();
base::Command point_hold_command();
base::Command point_release_command();
base::Command files_list_command();
base::Command files_find_command();
base::Command files_get_command();
base::Command files_diff_command();
base::Command boot_start_command();
base::Command boot_list_command();
base::Command boot_show_command();
base::Command boot_set_command();
base::Command boot_stop_command();
base::Command boot_power_command();
base::Command boot_pull_command();
base::Command boot_unprepare_command();
base::Command boot_wait_command();
base::Command boot_screenshot_command();
base::Command boot_console_command();
base::Command boot_check_command();
base::Command boot_serial_command();
base::Command restore_to_host_command();
base::Command job_list_command();
base::Command job_show_command();
base::Command job_follow_command();
base::Command job_cancel_command();
base::Command token_create_command();
base::Command token_list_command();
base::Command token_revoke_command();
base::Command host_list_command();
base::Command host_revoke_command();
base::Command host_forget_command();
base::Command host_replace_command();
base::Command report_create_command();
base::Command verify_start_command();
base::Command verify_list_command();
base::Command verify_show_command();
base::Command verify_explain_command();
base::Command verify_correct_command();
base::Command verify_rules_command();
base::Command verify_forget_command();
base::Command verify_export_command();
base::Command verify_checks_command();
base::Command verify_key_command();
base::Command verify_bisect_command();
base::Command policy_list_command();
base::Command policy_show_command();
base::Command policy_set_command();
base::Command policy_delete_command();
base::Command policy_preview_command();
base::Command policy_apply_command();
base::Command machine_protect_command();
base::Command machine_unprotect_command();
base::Command sync_start_command();
base::Command alert_list_command();
base::Command alert_kinds_command();
base::Command alert_test_command();
base::Command alert_ack_command();
base::Command clock_show_command();
base::Command clock_accept_command();
base::Command host_show_command();
base::Command tenant_adopt_command();
base::Command tenant_create_command();
base::Command tenant_list_command();
base::Command tenant_set_command();
base::Command tenant_info_command();
base::Command tenant_check_command();
base::Command tenant_compact_command();
base::Command tenant_recompute_command();

// These use a store directly, without a daemon.
base::Command store_init_command();
base::Command store_info_command();
base::Command store_check_command();
base::Command store_rebuild_command();
base::Command store_compact_command();
base::Command store_import_command();
base::Command store_points_command();
base::Command store_delete_command();
base::Command store_serve_command();
base::Command store_key_command();

}  // namespace appliance::cli
