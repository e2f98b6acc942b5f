#include "appliance/cli/program.h"

#include "appliance/cli/appliance_commands.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/completion_names.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/rescue_commands.h"

namespace appliance::cli {
namespace {

std::vector<base::Command> commands() {
  return {
      status_command(),
      doctor_command(),
      events_command(),
      machine_list_command(),
      machine_show_command(),
      machine_protect_command(),
      machine_unprotect_command(),
      machine_assign_command(),
      machine_forget_command(),
      machine_import_command(),
      point_list_command(),
      point_show_command(),
      point_hold_command(),
      point_release_command(),
      point_delete_command(),
      files_list_command(),
      files_find_command(),
      files_get_command(),
      files_diff_command(),
      boot_check_command(),
      boot_start_command(),
      boot_list_command(),
      boot_show_command(),
      boot_wait_command(),
      boot_console_command(),
      boot_screenshot_command(),
      boot_serial_command(),
      boot_power_command(),
      boot_set_command(),
      boot_pull_command(),
      boot_unprepare_command(),
      boot_stop_command(),
      verify_start_command(),
      verify_list_command(),
      verify_show_command(),
      verify_explain_command(),
      verify_correct_command(),
      verify_rules_command(),
      verify_forget_command(),
      verify_export_command(),
      verify_checks_command(),
      verify_key_command(),
      verify_bisect_command(),
      sync_start_command(),
      policy_list_command(),
      policy_show_command(),
      policy_set_command(),
      policy_preview_command(),
      policy_apply_command(),
      policy_delete_command(),
      alert_list_command(),
      alert_ack_command(),
      alert_silence_command(),
      channel_create_command(),
      channel_delete_command(),
      channel_list_command(),
      channel_show_command(),
      channel_test_command(),
      alert_kinds_command(),
      alert_test_command(),
      job_list_command(),
      job_show_command(),
      job_follow_command(),
      job_cancel_command(),
      restore_start_command(),
      restore_survey_command(),
      restore_list_command(),
      restore_show_command(),
      restore_download_command(),
      restore_to_host_command(),
      failback_start_command(),
      failback_list_command(),
      failback_show_command(),
      failback_finish_command(),
      failback_cancel_command(),
      failback_pause_command(),
      failback_continue_command(),
      failback_keep_command(),
      rescue_code_command(),
      rescue_list_command(),
      rescue_revoke_command(),
      report_create_command(),
      host_list_command(),
      host_show_command(),
      host_revoke_command(),
      host_forget_command(),
      host_replace_command(),
      token_create_command(),
      token_list_command(),
      token_revoke_command(),
      user_list_command(),
      user_show_command(),
      user_create_command(),
      user_set_role_command(),
      user_password_command(),
      user_totp_command(),
      user_disable_command(),
      user_delete_command(),
      session_list_command(),
      session_end_command(),
      audit_list_command(),
      audit_verify_command(),
      audit_export_command(),
      setup_code_command(),
      tenant_lock_command(),
      tenant_list_command(),
      tenant_create_command(),
      tenant_adopt_command(),
      tenant_set_command(),
      tenant_info_command(),
      tenant_check_command(),
      tenant_compact_command(),
      tenant_recompute_command(),
      clock_show_command(),
      clock_accept_command(),
      store_init_command(),
      store_info_command(),
      store_points_command(),
      store_import_command(),
      store_check_command(),
      store_serve_command(),
      store_delete_command(),
      store_compact_command(),
      store_rebuild_command(),
      store_key_command(),
      appliance_backup_command(),
      appliance_restore_command(),
  };
}

std::vector<base::Reference> nouns() {
  return {
      {"machine", "show and protect machines"},
      {"point", "show, hold and delete recovery points"},
      {"files", "list, find, download and compare the files of recovery points"},
      {"boot", "run recovery points as instant VMs"},
      {"verify", "prove that points boot: test boots and their verdicts"},
      {"restore", "write points out: to files on the appliance, to hosts, or here"},
      {"failback", "bring running instant VMs home"},
      {"rescue", "let a computer without a system restore itself"},
      {"sync", "create recovery points now"},
      {"policy", "set when machines are synced and which points are kept"},
      {"alert", "show, acknowledge and silence what is wrong"},
      {"channel", "notify people of alerts: mail, webhooks, syslog, SNMP, heartbeats"},
      {"job", "show, follow and cancel long work"},
      {"report", "write reports for clients"},
      {"host", "show and revoke hosts, on which agents run"},
      {"token", "create tokens for agents and operators"},
      {"user", "let people in, with roles, passwords and second factors"},
      {"session", "show and end sessions of people who are signed in"},
      {"audit", "see who did what, and check that nothing of it was changed"},
      {"setup", "start with a new appliance"},
      {"tenant", "set up tenants, and look after their stores"},
      {"clock", "check whether the appliance's clock is trusted"},
      {"appliance", "back up the appliance itself, and make it again from a backup"},
      {"store", "work on a store directly, without the appliance"},
  };
}

}  // namespace

base::Program operator_program() {
  base::Program program;
  program.name = "muletto";
  program.summary = "operate a Muletto appliance and its stores";
  program.commands = commands();
  program.nouns = nouns();
  program.description =
      "The operator's command line of Muletto, which keeps recovery points of machines on an "
      "appliance and runs any of them as an instant VM within seconds.\n\n"
      "All commands but 'muletto doctor' and those of 'muletto store' and 'muletto appliance' ask "
      "an appliance: over its socket on the same "
      "machine, or over TLS with --appliance, --token-file and --fingerprint. Long work is a job "
      "of the appliance: it continues when this program is interrupted.";
  program.environment = {
      {"MULETTO_SOCKET", "the appliance's socket on this machine, instead of the default"}};
  program.files = {{"/run/muletto/api.sock", "the appliance's socket on this machine"}};
  program.see_also = {"muletto-restore(1)", "mulettod(8)", "muletto-agent(8)"};
  program.shared = {"Connection options",
                    {"socket", "appliance", "token-file", "fingerprint", "tenant"}};
  program.names = completion_names;
  return program;
}

}  // namespace appliance::cli
