#!/usr/bin/env bash
# The units say what they mean: every directive is one that systemd 252 knows, in its section; each has the ones that
# harden it and that keep it tried for ever; and none takes away what the programs need.
. "$(dirname "$0")/lib.sh"

unit_section="Description Documentation After Wants StartLimitIntervalSec"
service_section="Type ExecStart Restart RestartSec RestartPreventExitStatus KillMode TimeoutStopSec OOMPolicy Nice UMask
  WatchdogSec ReadWritePaths StateDirectory StateDirectoryMode ProtectHostname SystemCallFilter SystemCallErrorNumber
  ProtectControlGroups   LimitNOFILE LimitCORE NoNewPrivileges ProtectSystem ProtectHome PrivateTmp RestrictAddressFamilies
  CapabilityBoundingSet ProtectKernelLogs SystemCallArchitectures LockPersonality RestrictRealtime RestrictSUIDSGID"
install_section="WantedBy"

unit_has() {  # unit_has UNIT LINE
  grep -qx -- "$2" "$1" || fail "${1##*/} lacks '$2'"
}
for unit in "$SOURCE/appliance/dist/mulettod.service" "$SOURCE/agent/dist/muletto-agent.service"; do
  section=
  while IFS= read -r line; do
    case $line in
      '' | '#'*) ;;
      '['*']') section=${line//[\[\]]/} ;;
      *=?*)
        variable=${section,,}_section
        grep -qw -- "${line%%=*}" <<< "${!variable}" || fail "${unit##*/}: [$section] has no directive '${line%%=*}'"
        ;;
      *) fail "${unit##*/}: '$line' is no directive" ;;
    esac
  done < "$unit"
  for line in StartLimitIntervalSec=0 UMask=0077 LimitCORE=0 NoNewPrivileges=yes PrivateTmp=yes; do
    unit_has "$unit" "$line"
  done
  grep -qE '^ProtectSystem=(full|strict)$' "$unit" || fail "${unit##*/} may write into /usr"
  grep -qE '^After=.*time-sync.target' "$unit" && grep -qE '^Wants=.*time-sync.target' "$unit" \
    || fail "${unit##*/} does not wait for the clock"
  # What they need: virtual machines, FUSE and block devices, namespaces, network rules.
  ! grep -qE '^(PrivateDevices|DevicePolicy|DeviceAllow|ProtectClock|RestrictNamespaces|PrivateNetwork|PrivateUsers)=' \
    "$unit" || fail "${unit##*/} takes away what the program needs"
done
unit_has "$SOURCE/appliance/dist/mulettod.service" ProtectSystem=strict
unit_has "$SOURCE/appliance/dist/mulettod.service" KillMode=process
unit_has "$SOURCE/appliance/dist/mulettod.service" Restart=always
if command -v systemd-analyze > /dev/null; then
  # What it says of the units may become better, not worse (docs/operations.md has the figures).
  for unit in "$SOURCE/appliance/dist/mulettod.service" "$SOURCE/agent/dist/muletto-agent.service"; do
    systemd-analyze security --offline=yes --threshold=63 "$unit" > "$WORK/exposure" 2>&1 \
      || fail "${unit##*/} is more exposed than before: $(tail -n 1 "$WORK/exposure")"
  done
  ! systemd-analyze verify "$SOURCE/appliance/dist/mulettod.service" 2>&1 | grep -iE "unknown|invalid" \
    || fail "systemd does not take a unit"
fi
