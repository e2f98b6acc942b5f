#!/usr/bin/env bash
# timeout: 1200
# Whatever dies while a machine goes home, never do two copies run, and what its guest flushed is not lost: the daemon,
# the agent, QEMU and the link are killed at each step in turn. MULETTO_KILLS says how many kills (default: 6); further
# failbacks are made until there were so many.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/failback-lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-parse nbdkit-muletto-plugin.so
require_commands jq qemu-storage-daemon qemu-img nbdkit virsh
wanted=${MULETTO_KILLS:-6}
start_both
start_appliance --libvirt-uri "$here"
write_home_config
# The agent reaches the appliance through a relay, which can be cut.
relay=$(free_port)
start_background relay "$SOURCE/tests/tools/tcp-relay" "$relay" "$(json .port < "$WORK/run/mulettod.json")"
token=$(muletto token create --output json | json .token.token)
enrolled() {
  muletto-agent enroll "127.0.0.1:$relay" --token "$token" --fingerprint "$(appliance_fingerprint)" --name home \
    --config "$WORK/home.toml"
}
wait_until 20 "the agent is enrolled through the relay" enrolled
make_production
watch_both & watcher=$!
on_exit kill "$watcher"
start_home_agent

kill_daemon() {
  stop_background mulettod KILL
  start_appliance --libvirt-uri "$here"
}
kill_agent() {
  stop_background agent KILL
  start_home_agent
}
kill_qemu() {  # of the instant VM
  local pid
  pid=$(pgrep -f "^[^ ]*qemu-system.*$WORK/state/vms/$boot") || return 0
  kill -KILL "$pid" || true
}
cut_link() {  # every connection is reset, and none is accepted for three seconds
  kill -USR1 "$(background_pid relay)"
}

# What is killed at which step, one after the other.
plan=(copying:agent following:daemon ready:qemu ending:daemon last:agent handing:daemon
  starting:agent last:daemon starting:daemon copying:daemon following:agent following:link
  last:link starting:link ending:agent last:qemu kept:daemon ready:agent)
kills=0 round=0

# The newest step of the failback, from the daemon's log: it is told there when it begins.
logged_step() {
  { grep -a "failback $failback of shop: " "$WORK/mulettod.log" || true; } | sed -n 's/.*of shop: \([a-z]*\): .*/\1/p' | tail -n 1
}

# Kills what the plan says for this failback, up to three in one, as soon as the step is seen.
sabotage() {
  local planned=("$@") seen= next=0 now deadline=$((SECONDS + 400))
  while [ $SECONDS -lt $deadline ]; do
    now=$(logged_step)
    if [ "$now" != "$seen" ]; then
      seen=$now
      if [ $next -lt ${#planned[@]} ] && [ "${planned[next]%:*}" = "$now" ]; then
        echo "  at $now: kill ${planned[next]#*:}"
        case ${planned[next]#*:} in
          daemon) kill_daemon ;;
          agent) kill_agent ;;
          qemu) kill_qemu ;;
          link) cut_link ;;
        esac
        kills=$((kills + 1)) next=$((next + 1))
        continue
      fi
    fi
    # A step that went by unseen is not waited for.
    case $now in kept | done | cancelled | failed) break ;; esac
    if [ "$now" = ready ]; then muletto failback finish "$failback" > /dev/null 2>&1 || true; fi
    sleep 0.05
  done
}

while [ "$kills" -lt "$wanted" ]; do
  round=$((round + 1))
  start_here
  muletto failback start shop home --in-place --overwrite shop -o json > "$WORK/failback.json"
  failback=$(json .failback.id < "$WORK/failback.json")
  order=("copying" "following" "ready" "ending" "last" "handing" "starting" "kept")
  chosen=()
  # Three of the plan that follow one another in time, beginning where the last round ended.
  for name in "${order[@]}"; do
    for i in "${!plan[@]}"; do
      [ ${#chosen[@]} -lt 3 ] && [ "${plan[i]%:*}" = "$name" ] || continue
      chosen+=("${plan[i]}")
      unset 'plan[i]'
      break
    done
  done
  [ ${#plan[@]} -gt 0 ] || plan=(copying:agent following:daemon ending:daemon last:agent handing:daemon
    starting:agent last:daemon starting:daemon following:agent last:link starting:link last:qemu)
  echo "round $round: ${chosen[*]}"
  sabotage "${chosen[@]}"
  wait_until 300 "the machine is home" step_is kept
  ! runs_here || fail "it runs here too"
  wait_until 10 "it runs at home" runs_home
  [ ! -s "$WORK/both" ] || fail "both ran: $(cat "$WORK/both")"
  counted "$WORK/shop.serial.log" "$(acked "$serial_here")"
  muletto failback finish "$failback" > /dev/null
  wait_until 60 "the VM here is given up" step_is done
  # And away again: a sync at home, and its server is gone.
  wait_until 120 "home's own syncs are accepted" muletto-agent sync shop --config "$WORK/home.toml" --quiet
  virsh -c "$home" destroy shop > /dev/null
done
echo "$kills kills in $round failbacks: never two, nothing lost"
pass
