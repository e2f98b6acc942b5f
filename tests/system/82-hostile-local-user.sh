#!/usr/bin/env bash
# timeout: 400
# Local users of the appliance and of a host, one of them in group kvm: they read no disk, key, catalog, overlay, log
# or report, connect to no socket, cannot pass for an export, and can neither write into the folders nor lead the
# programs astray with what they lay out in /tmp. QEMU's user gets at the export and the overlay of its VM, and at
# nothing else.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq nbdkit virsh setpriv /usr/bin/python3
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt
state=$(appliance_state) run=$(appliance_run)

# as_user NAME COMMAND...   nobody; "kvm": nobody in group kvm; "qemu": QEMU's user.
as_user() {
  local user=$1
  shift
  case $user in
    nobody) setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs -- "$@" ;;
    kvm) setpriv --reuid=nobody --regid=nogroup --groups=kvm --no-new-privs -- "$@" ;;
    qemu) setpriv --reuid="$qemu" --regid=nogroup --groups="$(stat -c %g "$state/vms/$boot")" --no-new-privs -- "$@" ;;
  esac
}
# What the user on whose behalf it runs can do with each path of a list, one line each.
cat > "$WORK/tries.py" <<'PY'
import os, socket, stat, sys
for path in open(sys.argv[1], "rb").read().split(b"\0"):
    if not path:
        continue
    name = path.decode(errors="replace")
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = 0
    if stat.S_ISSOCK(mode) or path.endswith(b".sock"):
        client = socket.socket(socket.AF_UNIX)
        try:
            os.chdir(os.path.dirname(path))
            client.connect(os.path.basename(path))
            print("connects to", name)
        except OSError:
            pass
        os.chdir("/")
        continue
    for flags, word in ((os.O_RDONLY, "reads"), (os.O_WRONLY, "writes")):
        try:
            os.close(os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK))
            print(word, name)
        except OSError:
            pass
    if stat.S_ISDIR(mode):
        try:
            os.mkdir(path + b"/planted")
            print("makes a folder in", name)
        except OSError:
            pass
PY
# tries USER   prints what the user can do in all folders of appliance and agent.
tries() {
  find "$state" "$run" "$WORK/agent" "$WORK/agent.run" -print0 > "$WORK/paths"
  [ "$(tr -cd '\0' < "$WORK/paths" | wc -c)" -gt 30 ] || fail "there is too little to try"
  chmod 644 "$WORK/paths"
  as_user "$1" /usr/bin/python3 "$WORK/tries.py" "$WORK/paths"
}

# ---- what a user may lay out beforehand: names that programs could follow
victim=$WORK/victim
mkdir -m 700 "$victim"
echo precious > "$victim/file"
for name in muletto muletto-restore muletto-report muletto-look muletto-screen; do
  for place in /tmp /var/tmp; do
    as_user nobody ln -s "$victim" "$place/$name-XXXXXX" 2> /dev/null || true
    as_user nobody mkdir "$place/$name-planted" 2> /dev/null || true
    as_user nobody ln -s "$victim" "$place/$name-planted/inside" 2> /dev/null || true
    on_exit rm -rf "$place/$name-XXXXXX" "$place/$name-planted"
  done
done

# ---- an appliance with a VM that runs, a test boot, a report; an agent that is enrolled and has synced
umask 022  # the programs see to it themselves
"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web
start_appliance
write_agent_config agent "web=$WORK/web.img"
enroll_agent alpha --config "$WORK/agent.toml"
muletto-agent sync web --config "$WORK/agent.toml" > /dev/null
start_background agent muletto-agent run --config "$WORK/agent.toml"
muletto report create > /dev/null 2>&1 || true
boot=$(muletto boot start web@latest --memory 128M --cpus 1 --network none -o json | json .boot.id)
socket=$run/vms/$boot/export.sock
qemu=$(stat -c %u "$socket")
[ "$qemu" != 0 ] || skip "QEMU runs as root here"
muletto verify start web@latest > "$WORK/verify.txt" 2>&1 &
verify=$!
test_boot_runs() {
  compgen -G "$run/verify/*/vms/*/export.sock"
}
wait_until 60 "a test boot runs" test_boot_runs

# ---- nobody gets at anything; nor does group kvm; QEMU's user gets at its VMs' exports and images
for user in nobody kvm; do
  tries $user > "$WORK/$user.txt"
  [ ! -s "$WORK/$user.txt" ] || fail "$user $(head -n 5 "$WORK/$user.txt" | tr '\n' ';')"
done
tries qemu > "$WORK/qemu.txt"
grep -qx "connects to $socket" "$WORK/qemu.txt" || fail "QEMU's user cannot use the export: the tries prove nothing"
! grep -vE "^(connects to|reads|writes) $(printf '(%s|%s)' "$state" "$run")/(verify/[0-9]+/)?vms/[0-9a-f]+/[^/]*(export.sock|\.qcow2|nvram.fd)$" \
  "$WORK/qemu.txt" || fail "QEMU's user gets at more than its images"
kill "$verify" 2> /dev/null || true
wait "$verify" 2> /dev/null || true

# ---- a process that calls itself nbdkit and names the socket is no export
export_pid=$(pgrep -f "nbdkit .*-U $socket")
start_background liar setpriv --reuid=nobody --regid=nogroup --clear-groups \
  bash -c "exec -a nbdkit bash -c 'while sleep 1; do :; done' x -U '$socket'"
kill -KILL "$export_pid"
restarted() {
  local pid
  for pid in $(pgrep -f "nbdkit .*-U $socket"); do
    [ "$(stat -c %u "/proc/$pid")" != 0 ] || return 0
  done
  return 1
}
wait_until 20 "the export is started again beside a liar" restarted
muletto boot stop "$boot" --discard --yes > /dev/null
[ ! -e "$socket" ] || fail "the socket is left"
background_alive liar || fail "somebody else's process was ended"

# ---- what was laid out led nobody astray
[ "$(cat "$victim/file")" = precious ] && [ "$(ls -A "$victim")" = file ] || fail "a planted link was followed"
