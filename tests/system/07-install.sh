#!/usr/bin/env bash
# What is installed is complete and runs from where it was put: programs, helpers, manual pages, completion, units.
. "$(dirname "$0")/lib.sh"

require_root
require_commands cmake jq nbdkit qemu-img
require_programs mulettod muletto muletto-agent muletto-restore muletto-parse muletto-sandbox nbdkit-muletto-plugin.so

prefix=$WORK/opt/muletto
cmake --install "$MULETTO_BUILD" --prefix "$prefix" > "$WORK/install.log" || fail "$(tail -n 5 "$WORK/install.log")"

# ---- where Debian expects it below /usr
(cd "$prefix" && find . -type f -printf '%P %m\n' | sort) > "$WORK/files"
installed() {  # installed MODE FILE...
  local file
  for file in "${@:2}"; do grep -qx "$file $1" "$WORK/files" || fail "$file is not installed with mode $1"; done
}
installed 755 bin/mulettod bin/muletto bin/muletto-agent bin/muletto-restore
installed 755 lib/muletto/muletto-sandbox lib/muletto/muletto-parse
installed 644 lib/systemd/system/mulettod.service lib/systemd/system/muletto-agent.service
installed 644 share/man/man1/muletto.1 share/man/man1/muletto-boot.1 share/man/man1/muletto-restore.1 \
  share/man/man8/mulettod.8 share/man/man8/muletto-agent.8
for program in mulettod muletto muletto-agent muletto-restore; do
  installed 644 "share/bash-completion/completions/$program" "share/zsh/vendor-completions/_$program" \
    "share/fish/vendor_completions.d/$program.fish"
done
installed 644 share/doc/muletto/LICENSE share/doc/muletto/examples/mulettod.toml
installed 755 share/doc/muletto/examples/hooks/muletto-freeze-hook
grep -qE '^lib/muletto/nbdkit-muletto-plugin.so (755|644)$' "$WORK/files" || fail "the plugin is not installed"
! grep -v '^share/muletto/page/' "$WORK/files" | grep -E '(test|tool|fuzz|\.a |\.h |^include/)' || fail "that is not for users"
! grep -qE '^(etc|var)/' "$WORK/files" || fail "settings or state are installed"
[ "$(find "$prefix/bin" -type f | wc -l)" -eq 4 ] || fail "bin has: $(ls "$prefix/bin")"

# ---- a unit starts the program that was installed with it
for unit in mulettod:mulettod muletto-agent:muletto-agent; do
  file=$prefix/lib/systemd/system/${unit%:*}.service
  command=$(sed -nE 's/^ExecStart=([^ ]+).*/\1/p' "$file")
  [ "$command" = "$prefix/bin/${unit#*:}" ] || fail "$file starts $command"
done
DESTDIR=$WORK/package cmake --install "$MULETTO_BUILD" --prefix /usr > /dev/null
diff "$WORK/package/usr/lib/systemd/system/mulettod.service" "$SOURCE/appliance/dist/mulettod.service" \
  || fail "a package's unit differs from ours"
diff "$WORK/package/usr/lib/systemd/system/muletto-agent.service" "$SOURCE/agent/dist/muletto-agent.service"
[ "$(ls "$WORK/package")" = usr ] || fail "a package has more than /usr: $(ls "$WORK/package")"

# ---- it runs without its build tree: the store, an export by the plugin, a definition that the parser reads
export PATH=$prefix/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset MULETTO_PLUGIN MULETTO_SANDBOX
head -c 4M /dev/urandom > "$WORK/disk.raw"
muletto store init "$WORK/store" > /dev/null
muletto store import "$WORK/store" --machine web --disk "vda=$WORK/disk.raw" > /dev/null
muletto-restore disk web@latest --store "$WORK/store" --format qcow2 --to "$WORK/back.qcow2" > /dev/null
qemu-img compare -q "$WORK/disk.raw" "$WORK/back.qcow2" || fail "the restored disk differs"
BIN=$prefix/bin
start_appliance
[ "$(readlink "/proc/$(background_pid mulettod)/exe")" = "$prefix/bin/mulettod" ] || fail "another mulettod runs"
muletto status -o json | jq -e '[.needs[] | select(.ok | not) | .problem // ""] | all(test("beside the program") | not)' \
  > /dev/null || fail "a helper is not found: $(muletto status)"
