#!/usr/bin/env bash
# timeout: 400
# The daemon is killed and ended ten times on its fixed port and with the shipped settings, while an instant VM runs
# with its console open, a pull, a test boot and an agent's syncs are under way: each time it is up on the same port
# within seconds, finds its VMs, and the agent continues. Nothing of it is in its children. A port that is really
# another's is said to be so, and taken when it is free.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq curl nbdkit virsh python3
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt

state=$(appliance_state) run=$(appliance_run)
port=$(free_port)
# The shipped settings, with nothing changed but places.
sed -E -e "s|^listen = .*|listen = \"127.0.0.1:$port\"|" -e "s|^state_directory = .*|state_directory = \"$state\"|" \
  -e "s|^run_directory = .*|run_directory = \"$run\"|" -e "s|^#libvirt_uri = .*|libvirt_uri = \"$LIBVIRT_DEFAULT_URI\"|" \
  "$SOURCE/appliance/dist/mulettod.toml" > "$WORK/mulettod.toml"
grep -q "^libvirt_uri = \"$LIBVIRT_DEFAULT_URI\"" "$WORK/mulettod.toml" || fail "the settings were not adapted"
export MULETTO_SOCKET=$run/api.sock
on_exit _remove_instant_vms "$LIBVIRT_DEFAULT_URI"

# As the unit does: only the daemon itself is signalled (KillMode=process), and 5 s are a fraction of what a
# technician waits.
serve() {
  start_background mulettod mulettod --config "$WORK/mulettod.toml"
  wait_until "${1:-5}" "mulettod is up on port $port" answers
}
answers() {
  background_alive mulettod || { tail -n 1 "$WORK/mulettod.log"; return 99; }
  [ "$(json .port < "$run/mulettod.json")" = "$port" ] && muletto status > /dev/null
}
# no_socket_of_daemon PID   the process has none of the daemon's descriptors: no socket that listens on the port or
# is connected to it, nothing of its folders but what it was given.
no_socket_of_daemon() {
  local link inodes
  inodes=$({ ss -Htane "sport = :$port" && ss -Hxa | grep -F "$run/api.sock"; } | grep -oE '(ino:|sock )[0-9]+' \
    | grep -oE '[0-9]+')
  [ "$(wc -l <<< "$inodes")" -ge 2 ] || fail "the daemon's own sockets are not seen"
  for link in "/proc/$1/fd/"*; do
    link=$(readlink "$link") || continue
    case $link in
      socket:*)
        link=${link//[^0-9]/}
        ! grep -qw "$link" <<< "$inodes" || fail "process $1 ($(tr '\0' ' ' < "/proc/$1/cmdline")) has a socket of the daemon"
        ;;
      */catalog* | */mulettod.json | "$state" | "$run")
        fail "process $1 ($(tr '\0' ' ' < "/proc/$1/cmdline")) has $link open"
        ;;
    esac
  done
}

# ---- a machine with a point, and an agent whose machine is synced every two seconds
"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web
serve 20
head -c 4M /dev/urandom > "$WORK/disk.raw"
write_agent_config agent "files=$WORK/disk.raw" "web=$WORK/web.img"
enroll_agent alpha --config "$WORK/agent.toml"
muletto-agent sync web --config "$WORK/agent.toml" > /dev/null
muletto policy set often --schedule "every 2s" --rpo 1h
start_background agent muletto-agent run --config "$WORK/agent.toml"
noticed() {
  muletto machine protect files --policy often
}
wait_until 20 "the agent's machine is known" noticed

# ---- what runs while the daemon goes: a VM, its console, a pull, a test boot
boot=$(muletto boot start web@latest --memory 128M --cpus 1 --network none -o json | json .boot.id)
domain=$(muletto boot show "$boot" -o json | json .boot.domain)
id_of_vm=$(virsh domid "$domain")
muletto boot pull "$boot" --bandwidth 64K > "$WORK/pull.txt" 2>&1 &
pull=$!
muletto verify start web@latest > "$WORK/verify.txt" 2>&1 &
verify=$!
points() {
  muletto machine list -o json | json '.machines[] | select(.name == "files") | .point_count'
}
more_points() {
  [ "$(points)" -gt "$1" ] || { points; return 1; }
}

wait_until 20 "the first scheduled point" more_points 0

# ---- ten ends
before=$(points)
for round in {1..10}; do
  # Clients that stay connected through the end: one on the port, and one with the VM's console open.
  exec {held}<> "/dev/tcp/127.0.0.1/$port"
  start_background "console$round" "$SOURCE/tests/tools/vnc-client" --socket "$run/api.sock" \
    "/api/v1/boots/$boot/console/ws" --until-closed
  wait_until 20 "the console is open" grep -q watching "$WORK/console$round.log"
  for pid in $(pgrep -f "nbdkit .*-U $run/"); do
    no_socket_of_daemon "$pid"
  done
  if [ $((round % 2)) = 0 ]; then
    stop_background mulettod TERM
  else
    stop_background mulettod KILL
  fi
  [ -z "$(ss -Htln "sport = :$port")" ] || fail "round $round: somebody else still listens on the port"
  serve
  exec {held}>&-
  [ "$(muletto boot show "$boot" -o json | json .boot.state)" = running ] || fail "round $round: the VM is not taken up"
  [ "$(virsh domid "$domain")" = "$id_of_vm" ] || fail "round $round: it is another VM"
done
kill "$pull" "$verify" 2> /dev/null || true
wait "$pull" "$verify" 2> /dev/null || true
wait_until 60 "syncs continue" more_points "$((before + 1))"
background_alive agent || fail "the agent has ended"
pulling() {
  [ "$(muletto boot show "$boot" -o json | json .boot.pulling)" = true ]
}
wait_until 20 "the pull continues" pulling
wait_until 20 "the VM's export is looked after" grep -q "adopted the instant VM $boot" "$WORK/mulettod.log"
! grep -q "another program uses" "$WORK/mulettod.log" || fail "the port was taken by a child"

# ---- nothing is left at the end
stop_background agent
muletto boot stop "$boot" --discard --yes > /dev/null
no_boots() {
  [ "$(muletto boot list -o json | json '.boots | length')" = 0 ] && ! pgrep -f "nbdkit .*-U $run/"
}
wait_until 60 "no export and no test boot is left" no_boots
muletto-restore disk --store "$state/stores/default" files@latest --disk vda --to "$WORK/back.raw" > /dev/null
cmp "$WORK/back.raw" "$WORK/disk.raw" || fail "the disk comes back changed"

# ---- a foreign program on the port: said so, and waited for by being started again, as the unit does
stop_background mulettod TERM
start_background squatter python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $port)); s.listen(); time.sleep(600)"
taken() {
  [ -n "$(ss -Htln "sport = :$port")" ]
}
wait_until 10 "the port is taken" taken
expect_failure 4 "another program uses this port" mulettod --config "$WORK/mulettod.toml"
stop_background squatter KILL
serve
