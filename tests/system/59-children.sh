#!/usr/bin/env bash
# timeout: 500
# What each kind of process has that the daemon starts, or a process of its: the standard streams and what it was given
# by name, and no other descriptor. Each program is replaced by one of its name that notes what it has, then becomes
# the real one; those that stay are looked at from outside, too.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq nbdkit virsh nbdfuse tesseract e2fsck /usr/bin/python3
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt
state=$(appliance_state) run=$(appliance_run)

# ---- programs that note their descriptors
mkdir "$WORK/shims"
mkdir -m 1777 "$WORK/notes"
cat > "$WORK/shims/note" <<SHIM
#!/bin/sh
name=\${0##*/}
# By a program that writes the file itself: a redirection would make the shell keep copies of its streams meanwhile.
find /proc/\$\$/fd -type l -fprintf "$WORK/notes/\$name.\$\$.raw" '%f %l\n'
# 0 to 2 are everybody's; the shell has this script open.
grep -vE '^[012] ' "$WORK/notes/\$name.\$\$.raw" | grep -v " $WORK/shims/\$name\$" >> "$WORK/notes/\$name.odd"
grep -E '^Sig(Blk|Ign)' /proc/\$\$/status | grep -v '0000000000000000$' >> "$WORK/notes/\$name.odd"
tr '\\0' '\\n' < /proc/\$\$/environ | grep -E '^(NOTIFY_SOCKET|LISTEN_|WATCHDOG)' >> "$WORK/notes/\$name.odd"
: > "$WORK/notes/\$name.seen"
real=\$(PATH=\$(echo "\$PATH" | sed "s|$WORK/shims:||") && command -v "\$name")
case \$name in
  hook) exit 0 ;;
  muletto-agent) exec "$BIN/muletto-agent" "\$@" ;;
  *) exec "\$real" "\$@" ;;
esac
SHIM
chmod 755 "$WORK/shims/note"
kinds="nbdkit nbdfuse qemu-img hook muletto-agent"
# Programs that read hostile bytes have a root of their own, without these: they are looked at while they run.
confined="tesseract e2fsck"
cat > "$WORK/watch.py" <<'PY'
# Looks at all descendants of a process until it is ended; notes each program's name, and each socket or pipe beside the
# standard streams that it shares with that process.
import os, sys, time
top, notes = sys.argv[1], sys.argv[2]

def held(pid):
    found = {}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            if int(fd) > 2 and link.startswith(("socket:", "pipe:")):
                found[link] = fd
    except OSError:
        pass
    return found

def children(pid):
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            yield from open(f"/proc/{pid}/task/{task}/children").read().split()
    except OSError:
        pass

def look(pid):
    for child in children(pid):
        try:
            name = os.path.basename(os.readlink(f"/proc/{child}/exe"))
        except OSError:
            continue
        mine = held(child)
        # One that has not become its program yet still has everything.
        # dash: the shells that note, which keep a copy of a stream while they write to a file.
        if mine and name not in ("mulettod", "dash"):
            for link in mine.keys() & held(top).keys():
                with open(f"{notes}/{name}.odd", "a") as file:
                    file.write(f"{mine[link]} {link} of the daemon\n")
        open(f"{notes}/{name}.seen", "a").close()
        look(child)

while os.path.exists(f"/proc/{top}"):
    look(top)
    time.sleep(0.01)
PY
for name in $kinds iptables nsenter; do
  cp "$WORK/shims/note" "$WORK/shims/$name"
done

# ---- an appliance that starts all of them
cat > "$WORK/mulettod.toml" <<TOML
[alerts]
command = "$WORK/shims/hook"
TOML
"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web
PATH=$WORK/shims:$PATH MULETTO_AGENT=$WORK/shims/muletto-agent NOTIFY_SOCKET=$WORK/notify.sock \
  start_appliance --config "$WORK/mulettod.toml"
daemon=$(background_pid mulettod)
start_background watch /usr/bin/python3 "$WORK/watch.py" "$daemon" "$WORK/notes"
write_agent_config agent "web=$WORK/web.img"
enroll_agent alpha --config "$WORK/agent.toml"
muletto-agent sync web --config "$WORK/agent.toml" > /dev/null
# Clients stay connected meanwhile.
exec {held}<> "/dev/tcp/127.0.0.1/$(json .port < "$run/mulettod.json")"

# inodes_of PID   prints the sockets and pipes that it has, without the standard streams. (Files may be opened by both.)
inodes_of() {
  local fd link
  for fd in "/proc/$1/fd/"*; do
    [ "${fd##*/}" -gt 2 ] || continue
    link=$(readlink "$fd") || continue
    case $link in socket:* | pipe:*) echo "$link" ;; esac
  done | sort -u
}
shares_nothing() {  # shares_nothing PID   … with the daemon
  local shared
  shared=$(comm -12 <(inodes_of "$daemon") <(inodes_of "$1"))
  [ -z "$shared" ] || fail "$(tr '\0' ' ' < "/proc/$1/cmdline") shares with the daemon: $shared"
}
[ "$(inodes_of "$daemon" | grep -c socket)" -ge 3 ] || fail "the daemon's own sockets are not seen"

boot=$(muletto boot start web@latest --memory 128M --cpus 1 --network none -o json | json .boot.id)
shares_nothing "$(pgrep -f "nbdkit .*-U $run/vms/$boot")"
[ "$(readlink "/proc/$(pgrep -f "nbdkit .*-U $run/vms/$boot")/cwd")" = / ] || fail "an export keeps a folder busy"

# A sync of the instant VM: the agent's program, its guard, libvirt's backup.
wait_until 30 "a sync can be ordered" muletto sync start web
for try in {1..200}; do
  guard=$(pgrep -f -- "--sync-guard .*$state/instant" | sed -n 1p) || { sleep 0.1; continue; }
  shares_nothing "$guard"
  break
done
[ -n "${guard:-}" ] || fail "no guard was seen in $try looks"

# A test boot with a check of its disks and its screen.
muletto verify start web@latest > "$WORK/verify.txt" 2>&1 &
verify=$!
# An alert: a machine that nobody protects.
for name in $kinds $confined; do
  wait_until 60 "$name was started" test -e "$WORK/notes/$name.seen"
done
kill "$verify" 2> /dev/null || true
wait "$verify" 2> /dev/null || true
stop_background watch KILL
muletto boot stop "$boot" --discard --yes > /dev/null
exec {held}>&-

for file in "$WORK/notes/"*.odd; do
  [ ! -s "$file" ] || fail "$(basename "$file" .odd) has what it was not given: $(sort -u "$file" | head -n 5 | tr '\n' ';')"
done
