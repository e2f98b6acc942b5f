#!/usr/bin/env bash
# The test library and the runner themselves: outcomes, clean-up in reverse order, background
# programs.
. "$(dirname "$0")/lib.sh"

# Each inner test is a script of its own, run in a folder of its own by a copy of the runner.
suite=$WORK/suite
mkdir "$suite"
cp "$SOURCE"/tests/system/{lib.sh,run} "$suite/"

# inner_test NAME: the script's body comes on standard input.
inner_test() {
  { echo ". \"\$(dirname \"\$0\")/lib.sh\"" && cat; } > "$suite/$1.sh"
}

inner_test 01-good <<'E2'
on_exit sh -c "echo first >> '$OUTSIDE/order'"
on_exit sh -c "echo second >> '$OUTSIDE/order'"
start_background sleeper sleep 1000
background_pid sleeper > "$OUTSIDE/pid"
wait_until 5 "the sleeper sleeps" background_alive sleeper
start_background brief true
wait_until 5 "the brief one ends" bash -c "! kill -0 $(background_pid brief)"
if background_alive brief; then fail "a program that has ended counts as alive"; fi
seq 100000 | has -x 1 || fail "a match in a long output is not seen"
! seq 100000 | has -x 0 || fail "a match that is not there is seen"
[ "$(free_port)" != "$(free_port)" ]
[ "$(echo '{"a":"b"}' | json .a)" = b ]
[ "$(sha256_of /dev/null)" = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ]
expect_failure 3 'disk vda is (not|no) there' sh -c 'echo "tool: disk vda is not there" >&2; exit 3'
pass
fail "pass did not end the test"
E2
inner_test 02-wrong-command <<'E2'
false
E2
inner_test 03-subshell <<'E2'
port=$(fail "said in a subshell")
echo reached
E2
inner_test 04-deadline <<'E2'
wait_until 1 "pigs fly" sh -c 'echo still walking; false'
E2
inner_test 04b-never <<'E2'
wait_until 100 "hell freezes" sh -c 'echo too hot; exit 99'
E2
inner_test 05-two-lines <<'E2'
expect_failure 1 one sh -c 'echo "one line here" >&2; echo "and another" >&2; exit 1'
E2
inner_test 06-skipped <<'E2'
require_commands no-such-command
E2
inner_test 07-slow <<'E2'
# timeout: 1
on_exit sh -c "echo slow >> '$OUTSIDE/order'"
sleep 1000
E2
inner_test 08-registered-in-subshell <<'E2'
(on_exit true)
E2

export OUTSIDE=$WORK/outside
mkdir "$OUTSIDE"
status=0
TMPDIR=$OUTSIDE "$suite/run" > "$WORK/output" 2>&1 || status=$?
cp "$WORK/output" "$WORK/inner.log"

[ $status -eq 1 ] || fail "the runner's exit code is $status"
[ "$(tail -n 1 "$WORK/output")" = "1 passed, 7 failed, 1 skipped" ] || fail "wrong last line"
for line in 'PASS 01-good \([0-9]+\.[0-9] s\)' \
  'FAIL 02-wrong-command \([0-9.]+ s, exit code 1\)' \
  'FAIL: exit code 1 of: false \(02-wrong-command.sh:2\)' \
  'FAIL: said in a subshell \(03-subshell.sh:2\)' \
  'FAIL: not within 1 s: pigs fly \(still walking\) \(04-deadline.sh:2\)' \
  'FAIL: never: hell freezes \(too hot\) \(04b-never.sh:2\)' \
  'FAIL: more than one line on standard error' \
  'SKIP 06-skipped: needs the command no-such-command' \
  'FAIL 07-slow \([0-9.]+ s, ended after its limit of 1 s\)' \
  'FAIL 08-registered-in-subshell'; do
  grep -qE "$line" "$WORK/output" || fail "the runner did not say: $line"
done
! grep -q reached "$WORK/output" || fail "a test continued after a failure in a subshell"
[ "$(paste -sd ' ' "$OUTSIDE/order")" = "second first slow" ] || fail "wrong order of clean-up"
! kill -0 "$(< "$OUTSIDE/pid")" 2> /dev/null || fail "a background program outlived its test"
[ -z "$(find "$OUTSIDE" -name 'muletto-*')" ] || fail "a test left its folder behind"

expect_failure 2 "no test named 'nothing'" "$suite/run" nothing

# ---- side by side
rm "$suite"/[0-9]*.sh
inner_test 11-meets <<'E2'
touch "$OUTSIDE/first"
wait_until 20 "the other runs beside this one" test -e "$OUTSIDE/second"
E2
inner_test 12-meets <<'E2'
touch "$OUTSIDE/second"
wait_until 20 "the other runs beside this one" test -e "$OUTSIDE/first"
E2
inner_test 13-apart <<'E2'
# alone
[ ! -e "$OUTSIDE/running" ] || fail "another test runs"
E2
inner_test 14-loaded <<'E2'
on_exit rm -f "$OUTSIDE/running"
touch "$OUTSIDE/running"
[ -e "$OUTSIDE/again" ] || { touch "$OUTSIDE/again" && fail "the first time"; }
E2
inner_test 15-broken <<'E2'
on_exit rm -f "$OUTSIDE/running"
touch "$OUTSIDE/running"
fail "each time"
E2
status=0
TMPDIR=$OUTSIDE "$suite/run" --jobs 2 > "$WORK/output" 2>&1 || status=$?
cp "$WORK/output" "$WORK/inner.log"
[ $status -eq 1 ] || fail "the runner's exit code is $status"
[ "$(tail -n 1 "$WORK/output")" = "4 passed, 1 failed, 0 skipped" ] || fail "wrong last line"
for line in 'PASS 11-meets' 'PASS 12-meets' 'PASS 13-apart' 'PASS 14-loaded' 'FAIL 15-broken .*exit code 1' \
  'LOAD 14-loaded \([0-9.]+ s, exit code 1\): failed beside others' 'LOAD 15-broken'; do
  grep -qE "$line" "$WORK/output" || fail "the runner did not say: $line"
done
expect_failure 2 "a number from 1 to 99" "$suite/run" --jobs none
