# shellcheck shell=bash
# For tests of failback: an appliance with a libvirt of its own, a host "home" with another, and a guest
# that numbers what it flushes (tests/guests/counter). Sourced after lib.sh.

here= home=

# start_both   the two libvirts; here, home: their addresses.
start_both() {
  ensure_libvirt
  here=$LIBVIRT_DEFAULT_URI
  start_libvirt home
  home=$(libvirt_uri home)
}

# write_home_config   the agent's settings at home: $WORK/home.toml.
write_home_config() {
  mkdir -p "$WORK/images" "$WORK/nvram" "$WORK/tpm"
  chmod 755 "$WORK/images" "$WORK/nvram"
  cat > "$WORK/home.toml" <<TOML
libvirt_uri = "$home"
state_directory = "$WORK/agent"
run_directory = "$WORK/agent.run"
nvram_directory = "$WORK/nvram"
tpm_directory = "$WORK/tpm"
restore_directories = ["$WORK/images"]
TOML
}

start_home_agent() {
  start_background agent muletto-agent run --config "$WORK/home.toml"
}

# The machine "shop" at home, with one point; then its server is gone.
make_production() {
  cp -r "$SOURCE/tests/guests/counter" "$WORK/extra"
  build_guest shop --extra "$WORK/extra"
  LIBVIRT_DEFAULT_URI=$home define_guest shop "$WORK/shop.qcow2" --no-net
  wait_until 240 "the guest counts" grep -a '^ACK 3' "$WORK/shop.serial.log"
  muletto-agent sync shop --config "$WORK/home.toml" --quiet > /dev/null
  virsh -c "$home" autostart shop > /dev/null
  virsh -c "$home" destroy shop > /dev/null
}

# Starts the machine here; boot: its id, serial_here: its serial log.
boot= serial_here=
start_here() {
  # Until its host's agent has said that it does not run any more, a start is refused.
  wait_until 60 "the machine starts here" sh -c \
    'muletto boot start shop@latest --memory 256M --cpus 1 --network none -o json > "$WORK/boot.json"'
  boot=$(json .boot.id < "$WORK/boot.json")
  serial_here=$WORK/state/vms/$boot/serial.log
  wait_until 240 "the guest counts here" grep -a '^ACK' "$serial_here"
}

# acked FILE...   the highest number that was said to be durable.
acked() {
  cat "$@" 2> /dev/null | tr -d '\r' | sed -n 's/^ACK \([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1
}

step() {  # step [FAILBACK]
  muletto failback show "${1:-$failback}" -o json | json .failback.step
}
step_is() {
  local now
  now=$(step) || return 1
  echo "$now: $(muletto failback show "$failback" -o json | json '.failback.problem // ""')"
  [ "$now" = "$1" ]
}

# counted FILE MINIMUM   the guest whose serial log that is has every record up to the number, and none is
# wrong.
counted() {
  local last max bad
  wait_until 300 "the guest counts in $1" grep -a '^BOOT' "$1"
  last=$(tr -d '\r' < "$1" | sed -n 's/^BOOT max=\([0-9]*\) bad=\([0-9]*\)$/\1 \2/p' | tail -n 1)
  max=${last% *} bad=${last#* }
  [ "$bad" = 0 ] || fail "$bad of $max records are wrong"
  [ "$max" -ge "$2" ] || fail "the guest has records up to $max, and said that $2 is durable: lost"
  ! tr -d '\r' < "$1" | has '^BAD' || fail "the guest complains: $(grep -a '^BAD' "$1" | tail -n 1)"
  echo "records 1 to $max are there; $2 were said to be durable"
}

# runs_here, runs_home   whether a copy of the machine executes (paused does not count).
runs_here() {
  virsh -c "$here" list --state-running --name 2> /dev/null | has '^muletto-shop'
}
runs_home() {
  virsh -c "$home" list --state-running --name 2> /dev/null | has -x shop
}

# Writes to $WORK/both whenever both copies were seen running, each seen again after the other.
watch_both() {
  while true; do
    if runs_here && runs_home && runs_here; then date +%T.%N >> "$WORK/both"; fi
    sleep 0.1
  done
}
