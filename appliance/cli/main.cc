// muletto: the operator's command line.
#include "appliance/cli/commands.h"

int main(int argc, char** argv) {
  using namespace appliance::cli;
  base::Program program{"muletto", "operates a Muletto appliance and its stores", {}};
  program.commands = {
      status_command(),           machine_list_command(),      machine_show_command(),
      machine_assign_command(),   point_list_command(),        point_show_command(),
      point_delete_command(),     boot_start_command(),        boot_list_command(),
      boot_show_command(),        boot_wait_command(),         boot_screenshot_command(),
      boot_check_command(),       boot_serial_command(),       boot_console_command(),
      boot_power_command(),       boot_stop_command(),         job_list_command(),
      job_show_command(),         job_follow_command(),        job_cancel_command(),
      host_list_command(),        host_revoke_command(),       token_create_command(),
      token_list_command(),       token_revoke_command(),      policy_list_command(),
      policy_show_command(),      policy_set_command(),        policy_delete_command(),
      machine_protect_command(),  machine_unprotect_command(), sync_start_command(),
      alert_list_command(),       alert_kinds_command(),       alert_test_command(),
      alert_ack_command(),        host_show_command(),         tenant_adopt_command(),
      tenant_create_command(),    tenant_list_command(),       tenant_set_command(),
      tenant_info_command(),      tenant_check_command(),      tenant_compact_command(),
      tenant_recompute_command(), store_init_command(),        store_info_command(),
      store_points_command(),     store_import_command(),      store_check_command(),
      store_delete_command(),     store_compact_command(),     store_rebuild_command(),
      verify_start_command(),     verify_list_command(),       verify_show_command(),
      verify_checks_command(),    verify_bisect_command(),     store_serve_command(),
      store_key_command(),        boot_pull_command(),         boot_set_command(),
      report_create_command(),    clock_show_command(),        clock_accept_command(),
      policy_preview_command(),   policy_apply_command(),      machine_forget_command(),
      host_forget_command(),      point_hold_command(),        point_release_command(),
  };
  return base::run_program(program, argc, argv);
}
