#!/usr/bin/env bash
# The test guest and this library themselves: guests with both firmwares boot under libvirt, serve,
# write, freeze and thaw, show their name, and shut down when asked.
. "$(dirname "$0")/lib.sh"

# check_guest NAME: what every guest must do.
check_guest() {
  local name=$1 sum
  wait_guest_http "$name" 120
  wait_until 10 "READY on the serial line" grep -q "READY $name" "$WORK/$name.serial.log"

  sum=$(guest_http "$name" "/cgi-bin/write?invoices:512")
  [[ $sum =~ ^[0-9a-f]{64}$ ]] || fail "write answered: $sum"
  [ "$(guest_http "$name" /cgi-bin/sum)" = "$sum  invoices" ] || fail "sum does not know $sum"
  [ "$(guest_http "$name" "/cgi-bin/page?Invoices%20of%20today")" = ok ] || fail "no new page"
  [[ $(guest_http "$name" /) == *"<h1>Invoices of today</h1>"* ]] || fail "the page is the old one"
  expect_failure 22 "404" guest_http "$name" /nothing

  guest_agent_ready "$name" 30
  [ "$(guest_agent "$name" guest-fsfreeze-freeze)" -ge 1 ] || fail "no file system was frozen"
  [ "$(guest_agent "$name" guest-fsfreeze-status)" = '"frozen"' ] || fail "not frozen"
  [[ $(guest_http "$name" /fsfreeze.log) =~ freeze$ ]] || fail "the freeze hook did not run"
  [ "$(guest_agent "$name" guest-fsfreeze-thaw)" -ge 1 ] || fail "no file system was thawed"
  [[ $(guest_http "$name" /fsfreeze.log) =~ thaw$ ]] || fail "the thaw hook did not run"

  screenshot "$name" "$WORK/$name.png"
  [ "$(file -b --mime-type "$WORK/$name.png")" = image/png ] || fail "the screenshot is no PNG"
  [ "$(convert "$WORK/$name.png" -format '%k' info:)" -ge 2 ] || fail "the screen is blank"
}

require_root
require_commands qemu-img curl jq convert file
ensure_libvirt
ensure_network office

build_guest bios-guest
build_guest uefi-guest --firmware uefi
define_guest bios-guest "$WORK/bios-guest.qcow2" --user-net
define_guest uefi-guest "$WORK/uefi-guest.qcow2" --uefi --network office
check_guest bios-guest
check_guest uefi-guest

# The agent does not answer a shutdown it carries out.
virsh shutdown bios-guest --mode agent > /dev/null
virsh shutdown uefi-guest --mode acpi > /dev/null
wait_guest_state bios-guest "shut off" 60
wait_guest_state uefi-guest "shut off" 60

# What was written is there after another start.
virsh start bios-guest > /dev/null
wait_guest_http bios-guest 120
[[ $(guest_http bios-guest /) == *"Invoices of today"* ]] || fail "the page is lost"
[[ $(guest_http bios-guest /cgi-bin/sum) == *"  invoices" ]] || fail "the data is lost"
