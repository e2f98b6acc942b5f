#!/usr/bin/env bash
# Completion and manual pages of every program: what bash, zsh and fish offer, names that a store has, silence
# and an answer within a second when nobody answers, manual pages without complaints, old names of options.
. "$(dirname "$0")/lib.sh"

programs="muletto mulettod muletto-agent muletto-restore"
# shellcheck disable=SC2086
require_programs $programs

# A store with a point: names come from it without an appliance.
head -c 65536 /dev/urandom > "$WORK/disk.img"
muletto store init "$WORK/store" > /dev/null
muletto store import "$WORK/store" --machine shop --disk "vda=$WORK/disk.img" > /dev/null
time=$(muletto store points "$WORK/store" -o json | json '.points[0].time')
export MULETTO_SOCKET=$WORK/no-appliance.sock
mkdir "$WORK/folder"
cd "$WORK"

# ---- bash: readline's words are put together here as it splits them
cat > "$WORK/ask" << 'END'
# ask LINE: what completion offers at the end of the line, one a line.
COMP_LINE=$1 COMP_POINT=${#1}
COMP_WORDS=()
rest=$1
while [[ $rest =~ ^[[:space:]]*([=:@]+|\"[^\"]*\"?|([^[:space:]=:@\"\\]|\\.)+) ]]; do
  COMP_WORDS+=("${BASH_REMATCH[1]}")
  rest=${rest#"${BASH_REMATCH[0]}"}
done
[[ $1 != *[[:space:]] || $rest = '' ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
program=${COMP_WORDS[0]}
source <("$program" completion bash)
function=$(complete -p "$program" | sed 's/.* -F \([^ ]*\) .*/\1/')
"$function"
printf '%s\n' "${COMPREPLY[@]}"
END
# offers LINE WORD...: bash offers these words, and perhaps others.
offers() {
  local line=$1 word
  shift
  bash "$WORK/ask" "$line" > "$WORK/offered" 2> "$WORK/complaints"
  [ ! -s "$WORK/complaints" ] || fail "'$line' makes bash say $(head -n 1 "$WORK/complaints")"
  for word; do
    grep -qxF -- "$word" "$WORK/offered" || fail "'$line' does not offer $word, but $(paste -sd ' ' "$WORK/offered")"
  done
}
# offers_only LINE WORD...: these, and no others.
offers_only() {
  offers "$@"
  [ "$(grep -c . "$WORK/offered")" -eq $(($# - 1)) ] || fail "'$1' offers $(paste -sd ' ' "$WORK/offered")"
}
offers "muletto " machine point boot store status completion
offers_only "muletto boot sta" start
offers_only "muletto boot power some re" reset resume
offers "muletto boot start --" --network --memory --wait --socket --output
offers_only "muletto boot start x --firmware " bios uefi
offers_only "muletto boot start x --firmware=u" uefi
offers "muletto boot start x --network " none nat isolated: bridge:
offers_only "muletto completion " bash zsh fish
offers_only "muletto store info $WORK/fo" "$WORK/folder"
offers_only "muletto store import s --disk vda=$WORK/di" "$WORK/disk.img"
offers_only "muletto store import s --disk=vda=$WORK/di" "$WORK/disk.img"
offers "muletto-agent " enroll sync run list status
offers "mulettod --" --config --state-directory --listen
offers_only "mulettod --log-level w" warn
offers_only "muletto-restore disk --store $WORK/store sh" shop@latest
# Readline keeps what is before the last '@' or ':' itself.
offers "muletto-restore disk --store $WORK/store shop@" latest "$time"
offers_only "muletto store serve $WORK/store shop@l" latest

# ---- nobody answers: nothing is offered, nothing is said, soon
offers_only "muletto boot show "
offers_only "muletto-restore disk --store $WORK/nowhere "
python3 - "$WORK/silent.sock" << 'END' &
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
time.sleep(100)
END
silent=$!
on_exit kill "$silent"
wait_until 10 "the silent appliance listens" test -S "$WORK/silent.sock"
begin=${EPOCHREALTIME/./}
! muletto __complete boot show --socket "$WORK/silent.sock" "" > "$WORK/output" 2>&1 || fail "a silent appliance answers"
[ ! -s "$WORK/output" ] || fail "a silent appliance makes completion speak"
[ $((${EPOCHREALTIME/./} - begin)) -lt 5000000 ] || fail "completion waits for a silent appliance"

# ---- what is installed
share=$WORK/share
for program in $programs; do "$program" __documents "$share"; done
for program in $programs; do
  bash -n "$share/bash-completion/completions/$program"
  [ -s "$share/zsh/vendor-completions/_$program" ] || fail "no zsh completion of $program"
  [ -s "$share/fish/vendor_completions.d/$program.fish" ] || fail "no fish completion of $program"
done
for page in man1/muletto.1 man1/muletto-boot.1 man1/muletto-store.1 man1/muletto-restore.1 man8/mulettod.8 \
  man8/muletto-agent.8; do
  [ -s "$share/man/$page" ] || fail "there is no manual page $page"
  for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" FILES "SEE ALSO"; do
    grep -qx ".SH $section" "$share/man/$page" || fail "$page has no section $section"
  done
done
if command -v mandoc > /dev/null; then
  mandoc -Tlint -Wwarning "$share"/man/man*/*.[18] > "$WORK/lint" || fail "mandoc says: $(head -n 3 "$WORK/lint")"
else
  echo "skipped: manual pages are not checked by mandoc, which is not installed"
fi
if command -v man > /dev/null && command -v groff > /dev/null; then
  for page in "$share"/man/man*/*.[18]; do
    MANROFFOPT='' MANWIDTH=80 man --warnings -E UTF-8 -l "$page" 2>&1 > /dev/null
  done > "$WORK/warnings"
  [ ! -s "$WORK/warnings" ] || fail "man says: $(head -n 3 "$WORK/warnings")"
else
  echo "skipped: manual pages are not rendered, man-db or groff is not installed"
fi

# ---- zsh and fish
if command -v zsh > /dev/null; then
  for program in $programs; do zsh -n "$share/zsh/vendor-completions/_$program"; done
  # The functions of zsh that take the words are replaced by ones that print them.
  cat > "$WORK/ask.zsh" << 'END'
compdef() { }
_describe() { shift 2; print -rl -- "${(@P)1}"; }
_files() { print files "$@"; }
compset() { print prefix "$2"; }
source <($1 completion zsh)
words=("$@") CURRENT=$# PREFIX=${@[-1]}
_$1
END
  zsh -f "$WORK/ask.zsh" muletto boot sta | has '^start:Start instant VMs' || fail "zsh does not offer boot start"
  zsh -f "$WORK/ask.zsh" muletto boot start --network bri | has -x 'bridge\\:' || fail "zsh does not offer bridge:"
  [ "$(zsh -f "$WORK/ask.zsh" muletto-restore disk --to x)" = files ] || fail "zsh offers no files"
else
  echo "skipped: zsh is not installed"
fi
if command -v fish > /dev/null; then
  export HOME=$WORK
  for program in $programs; do fish --no-execute "$share/fish/vendor_completions.d/$program.fish"; done
  # ask_fish LINE: what fish offers at the end of the line.
  ask_fish() { fish --no-config -c "source $share/fish/vendor_completions.d/${1%% *}.fish; complete -C '$1'"; }
  ask_fish "muletto boot sta" | has '^start.Start instant VMs' || fail "fish does not offer boot start"
  ask_fish "muletto boot start x --firmware=" | has -x -- '--firmware=uefi' || fail "fish does not offer uefi"
  ask_fish "muletto store info fo" | has '^folder/' || fail "fish offers no folders"
  ask_fish "muletto-restore disk --store store shop@" | has "^shop@$time" \
    || fail "fish does not offer the points of a store"
else
  echo "skipped: fish is not installed"
fi

# ---- wrong words, and options that had another name before
expect_failure 2 "did you mean 'machine'" muletto machines list
expect_failure 2 "did you mean 'store import'" muletto store improt
expect_failure 2 "did you mean '--network'" muletto boot start x --netwrok nat
expect_failure 2 "listen needs a value" mulettod --listen
expect_failure 2 "HOST:PORT" mulettod --state-dir "$WORK/state" --run-dir "$WORK/run" --libvirt test:///default --listen nonsense
printf 'state_dir = "%s"\nrun_dir = "%s"\nlibvirt = "qemu:///system?socket=%s"\n' \
  "$WORK/agent" "$WORK/agent.run" "$WORK/no-libvirt" > "$WORK/old.toml"
[ "$(muletto-agent status --config "$WORK/old.toml" -o json | json .state_directory)" = "$WORK/agent" ] \
  || fail "old names of the agent's settings are not read"
[ "$(muletto-agent status --config "$WORK/old.toml" --state-dir "$WORK/other" -o json | json .state_directory)" = "$WORK/other" ] \
  || fail "the old option --state-dir is not read"

# ---- names that an appliance has
require_root
unset MULETTO_SOCKET
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
write_agent_config hv1 "web=$WORK/disk.img"
enroll_agent hv1 --config "$WORK/hv1.toml" > /dev/null
muletto-agent sync web --config "$WORK/hv1.toml" --quiet > /dev/null
time=$(muletto point list -o json | json '.points[0].time')
offers_only "muletto machine show " web
offers_only "muletto policy preview --machine=" web
offers_only "muletto boot start we" web@latest
offers "muletto boot start --then web@" latest "$time"
offers_only "muletto host show " hv1
offers_only "muletto host forget "
offers_only "muletto tenant set " default
offers_only "muletto machine list --tenant " default
offers_only "muletto job show " "$(muletto job list -o json | json '.jobs[0].id')"
offers_only "muletto token revoke " "$(muletto token list -o json | json '.tokens[0].id')"
offers_only "muletto boot show "
offers_only "muletto machine show --tenant nobody "
offers_only "muletto-agent sync --config $WORK/hv1.toml w" web
