#!/usr/bin/env bash
# timeout: 1500
# A machine that is up with a screen that nobody knows: its verdict is explained, corrected, and taught. The next test
# boot passes because of that, another machine with the same screen does not, and a kernel's trouble still fails. The
# case leaves the appliance without the client's words, and is judged the same when it is replayed.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit virsh tesseract
require_programs mulettod muletto nbdkit-muletto-plugin.so unit_tests
ensure_libvirt
record_api

state=$WORK/state run=$WORK/run
printf '[verification]\nwatch_on = "2s"\n' > "$WORK/mulettod.toml"
mkdir -p "$state/stores"
muletto store init "$state/stores/default" > /dev/null

# guest NAME [COMMAND]   up, with a screen of its client's own words and a clock, and nothing that answers.
guest() {
  local name=$1 extra=$WORK/extra-$1
  mkdir -p "$extra/etc/init.d"
  { grep -v 'httpd\|READY\|udhcpc' "$SOURCE/tests/guests/rootfs/etc/init.d/rcS"; printf '%s\n' "${2:-}"; } > "$extra/etc/init.d/rcS"
  chmod 755 "$extra/etc/init.d/rcS"
  { grep -v 'getty\|guest-agent' "$SOURCE/tests/guests/rootfs/etc/inittab"; echo 'tty1::respawn:/bin/sh /etc/say'; } > "$extra/etc/inittab"
  # shellcheck disable=SC2016
  printf '%s\n' 'dmesg -n 1' 'while :; do printf "\033[2J\033[1;1H"; printf "Zahnarztpraxis Mustermann  %s\n\nBehandlung Zimmer zwei, Anruf 0891234567\nhelp@mustermann-dental.de\n" "$(date +%T)"; sleep 1; done' > "$extra/etc/say"
  "$SOURCE/tests/guests/build-guest" "$WORK/$name.img" --hostname "$name" --size 128 --no-agent --extra "$extra"
  muletto store import "$state/stores/default" --machine "$name" --disk "vda=$WORK/$name.img" --format raw > /dev/null
  rm -f "$WORK/$name.img"
}
guest praxis
guest twin
guest trouble 'echo "<2>EXT4-fs error (device dm-0): ext4_lookup:1855: inode #12: comm sh: iget: checksum invalid" > /dev/kmsg'
start_appliance --config "$WORK/mulettod.toml"
muletto tenant adopt default > /dev/null

# verified MACHINE EXPECTED   sets $number, and leaves the answer in $WORK/seen.json.
verified() {
  muletto verify start "$1@latest" -o json > "$WORK/seen.json" || true
  [ "$(json .verification.verdict < "$WORK/seen.json")" = "$2" ] \
    || fail "$1: $(jq -c '.verification | {verdict, reasons, pictures}' < "$WORK/seen.json")"
  number=$(json .verification.number < "$WORK/seen.json")
}
open_alert() { muletto alert list -o json | jq -e --arg kind "$1" '[.alerts[] | select(.closed == null) | .kind] | index($kind)' > /dev/null; }
no_alert() { ! open_alert "$1"; }

verified praxis inconclusive
wrong=$number
muletto verify explain "$wrong" > "$WORK/explained"
grep -q "^Rule: *still" "$WORK/explained" || fail "the rule is not named: $(cat "$WORK/explained")"
grep -q '^> .*screen.*nothing certain' "$WORK/explained" || fail "what decided is not marked: $(cat "$WORK/explained")"

# ---- refusals
expect_failure 2 "reason" muletto verify correct "$wrong" pass
expect_failure 2 "pass" muletto verify correct "$wrong" perhaps --reason "x"
expect_failure 3 "no test boot" muletto verify correct 99999 pass --reason "x"
expect_failure 2 "never-shown" muletto verify correct "$wrong" pass --reason "x" --text never-shown
expect_failure 3 "nobody corrected" muletto verify correct "$wrong" --withdraw
[ -z "$(muletto verify rules praxis -o json | jq -r '.rules[]')" ] || fail "a refused correction taught something"

# ---- a wrong fail has an alert, and the correction closes it
muletto verify correct "$wrong" fail --reason "looks dead to me" --no-teaching > /dev/null
wait_until 60 "the alert of the fail" open_alert verification-failed
muletto verify correct "$wrong" pass --reason "the front desk works" > "$WORK/corrected"
grep -q "Taught, for this machine only" "$WORK/corrected" || fail "nothing was taught: $(cat "$WORK/corrected")"
wait_until 60 "the alert is closed" no_alert verification-failed
muletto verify list | has "pass (corrected)" || fail "the list does not show the correction"
muletto verify list | has "corrected this from inconclusive to pass" || fail "the list does not say who"
muletto report create --out "$WORK/report.html" > /dev/null
grep -q "corrected this from inconclusive to pass" "$WORK/report.html" || fail "the report does not show the correction"
muletto verify rules praxis | has "up .*behandlung" || fail "the rule is not listed: $(muletto verify rules praxis)"

# ---- the lesson: this machine passes, its twin and a machine in trouble do not
verified praxis pass
jq -e '.verification.reasons[0] | test("what a person called up \\(rule [0-9]+\\)")' < "$WORK/seen.json" > /dev/null \
  || fail "the rule is not the reason: $(jq -c .verification.reasons < "$WORK/seen.json")"
verified twin inconclusive
verified trouble fail
muletto verify correct "$number" pass --reason "we know this error" > "$WORK/corrected"
verified trouble fail
muletto verify correct "$number" pass --reason "we know this error" --outvote-trouble > "$WORK/corrected"
grep -q "No longer trouble: .*checksum invalid" "$WORK/corrected" || fail "what is outvoted is not said: $(cat "$WORK/corrected")"
verified trouble pass
jq -e '[.verification.reasons[] | select(test("reports a problem.*EXT4-fs error"))] | length == 1' < "$WORK/seen.json" > /dev/null \
  || fail "the tolerated error is not quoted: $(jq -c .verification.reasons < "$WORK/seen.json")"

# ---- the case
status=0
muletto verify export "$wrong" --to "$WORK/case.json" 2> "$WORK/shown" || status=$?
[ "$status" -eq 2 ] && grep -q "confirm it with --yes" "$WORK/shown" || fail "status $status: $(cat "$WORK/shown")"
[ ! -e "$WORK/case.json" ] || fail "a case was written before anybody agreed"
mkdir "$WORK/cases"
muletto verify export "$wrong" --to "$WORK/cases/front-desk.json" --yes 2> "$WORK/replaced" > /dev/null
grep -qi "zahnarztpraxis" "$WORK/replaced" || fail "what was replaced is not shown: $(cat "$WORK/replaced")"
! grep -qiE 'zahnarzt|mustermann|behandlung|0891234567|praxis|dental' "$WORK/cases/front-desk.json" \
  || fail "the case has words of the client: $(cat "$WORK/cases/front-desk.json")"
jq -e '.label == "pass" and .said == "inconclusive" and .corrected and (.screens | length) > 0 and (.lesson | length) == 1' \
  < "$WORK/cases/front-desk.json" > /dev/null || fail "the case is not complete"
"$SOURCE/tests/verification/replay" "$WORK/cases" || fail "the case is not judged as its label says"
jq '.label = "fail"' < "$WORK/cases/front-desk.json" > "$WORK/cases/wrong.json"
! "$SOURCE/tests/verification/replay" "$WORK/cases" > /dev/null 2>&1 || fail "a wrong label was not noticed"
muletto verify export "$wrong" --to "$WORK/pictured.json" --with-pictures --yes > /dev/null 2>&1
[ -s "$WORK/pictured.json-1.png" ] || fail "no picture was saved"
[ -z "${MULETTO_KEEP_CASE:-}" ] || cp "$WORK/cases/front-desk.json" "$MULETTO_KEEP_CASE"

# ---- forgotten, and taken back
rule=$(muletto verify rules praxis -o json | json '.rules[0].number')
muletto verify forget praxis "$rule" > /dev/null
expect_failure 3 "no taught rule" muletto verify forget praxis "$rule"
muletto verify correct "$wrong" --withdraw | has "inconclusive again" || fail "not withdrawn"
verified praxis inconclusive
