#!/usr/bin/env bash
# timeout: 300
# A tenant's lock: a young point is removed by nobody: not by root, not by a policy, not by forgetting the machine, not by
# lifting the lock first, and not after the clock was set two years ahead, accepted, and the daemon started again.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent
require_commands jq faketime

# faketime moves what time() says, never the steady clock: as when somebody sets the clock.
library=$(faketime -f +0 env | sed -n 's/^LD_PRELOAD=//p')
[ -n "$library" ] || skip "faketime does not say which library it uses"
cat > "$WORK/mulettod-at" <<SH
#!/usr/bin/env bash
exec env LD_PRELOAD='$library' FAKETIME_TIMESTAMP_FILE="$WORK/time" FAKETIME_NO_CACHE=1 \
  FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "$BIN/mulettod" "\$@"
SH
chmod +x "$WORK/mulettod-at"
set_clock() {
  echo "$1" > "$WORK/time.new"
  mv "$WORK/time.new" "$WORK/time"
}
set_clock +0
port=$(free_port)
export MULETTO_SOCKET=$WORK/run/api.sock
serve() {
  rm -f "$WORK/run/mulettod.json"
  start_background mulettod "$WORK/mulettod-at" --state-directory "$WORK/state" --run-directory "$WORK/run" \
    --listen "127.0.0.1:$port" --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
  wait_until 30 "mulettod is ready" test -s "$WORK/run/mulettod.json"
}
serve
head -c 1M /dev/urandom > "$WORK/web.raw"
write_agent_config agent "web=$WORK/web.raw"
enroll_agent alpha --config "$WORK/agent.toml"
muletto-agent sync web --config "$WORK/agent.toml" > /dev/null
printf 'changed' | dd of="$WORK/web.raw" bs=1 seek=70000 conv=notrunc status=none
muletto-agent sync web --config "$WORK/agent.toml" > /dev/null
points() {
  muletto point list --machine web --output json | json '.points | length'
}
[ "$(points)" = 2 ] || fail "there are not two points"
point=$(muletto point list --machine web --output json | json '.points[0].id')

muletto tenant lock default --days 30 > /dev/null
muletto tenant list --output json | json '.tenants[0].lock.days' | has -x 30 || fail "the lock is not shown"
kept() {
  [ "$(points)" = 2 ] || fail "a point is gone: $1"
}
try_all() { # WHEN
  expect_failure 4 "locked for 30 days" muletto point delete "$point"
  muletto machine forget web --points > /dev/null 2>&1 || true
  sleep 1
  kept "$1"
}
try_all "at once"

# ---- lifting it takes as long as waiting
muletto tenant lock default --days 0 > "$WORK/said"
has "stays at 30 days" < "$WORK/said" || fail "$(cat "$WORK/said")"
try_all "after it was lifted"

# ---- a clock that somebody sets ahead, and says is right
set_clock +730d
clock_is_doubted() { muletto clock show --output json | jq -e '.clock.trusted == false' > /dev/null; }
wait_until 20 "the clock is doubted" clock_is_doubted
muletto clock accept > /dev/null
try_all "after the clock was set ahead and accepted"
muletto policy set default --keep "last 1" > /dev/null
muletto policy apply --now > /dev/null 2>&1 || true
sleep 5
kept "by the policy"
stop_background mulettod
serve
try_all "after a start"
set_clock -730d
stop_background mulettod
serve
try_all "with the clock two years late"
muletto audit verify | has "is whole" || fail "the audit log is not whole"
