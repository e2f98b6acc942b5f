#!/usr/bin/env bash
# timeout: 400
# The appliance itself is lost, and made again on an empty machine: from the sealed file, and from what the daemon
# put into a store. The agent goes on syncing without being enrolled again; tokens, policies, holds and points are
# back; what is damaged, sealed otherwise, or in the way is refused.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq curl openssl
require_programs mulettod muletto muletto-agent

head -c 8M /dev/urandom > "$WORK/disk.raw"
start_appliance
write_agent_config agent "web=$WORK/disk.raw"
agent() { muletto-agent "$@" --config "$WORK/agent.toml"; }
enroll_agent host --config "$WORK/agent.toml"
agent sync web > /dev/null
muletto policy set nightly --schedule "every 1d" > /dev/null
muletto point hold web@latest --reason "before the move" > /dev/null
muletto token create --for operator --output json | json .token.token > "$WORK/token"
fingerprint=$(appliance_fingerprint)
muletto tenant create acme --encrypted > /dev/null
state=$(appliance_state) store=$(appliance_state)/stores/default

# ---- the daemon's own backups: at the first start, and after changes
backups() { find "$1/appliance" -name '*.backup' 2> /dev/null | sort; }
first_is_there() { [ "$(backups "$store" | wc -l)" -ge 1 ]; }
wait_until 60 "the first backup is in the store" first_is_there
muletto policy set weekly --schedule "every 7d" > /dev/null
newest_is_after_changes() { [ "$(backups "$store" | wc -l)" -ge 2 ]; }
wait_until 90 "the changes are backed up into the store" newest_is_after_changes
encrypted_one_is_there() { [ -n "$(backups "$state/stores/acme")" ]; }
wait_until 60 "the encrypted store has one too" encrypted_one_is_there
strings=$(backups "$state/stores/acme" | tail -n 1)
! grep -q 'PRIVATE KEY' "$strings" || fail "the backup in an encrypted store can be read"
[ "$(stat -c %a "$(backups "$store" | tail -n 1)")" = 600 ] || [ "$(stat -c %a "$store")" = 700 ] \
  || fail "others may read the backup"

# ---- the sealed file, while the daemon runs
echo "a long enough secret" > "$WORK/passphrase"
echo short > "$WORK/short"
expect_failure 2 "too short" muletto appliance backup "$WORK/x" --state-directory "$state" \
  --passphrase-file "$WORK/short"
muletto appliance backup "$WORK/appliance.backup" --state-directory "$state" --passphrase-file "$WORK/passphrase"
[ "$(stat -c %a "$WORK/appliance.backup")" = 600 ] || fail "others may read the file"
expect_failure 4 "exists" muletto appliance backup "$WORK/appliance.backup" --state-directory "$state" \
  --passphrase-file "$WORK/passphrase"

# ---- the machine is lost; points that came after the backup are in the store
head -c 1M /dev/urandom | dd of="$WORK/disk.raw" conv=notrunc status=none
agent sync web > /dev/null
stop_background mulettod
restore() { muletto appliance restore "$@"; }
echo "another long secret" > "$WORK/wrong"
expect_failure 5 "does not open" restore "$WORK/appliance.backup" --state-directory "$WORK/second.state" \
  --passphrase-file "$WORK/wrong"
expect_failure 5 "passphrase" restore "$WORK/appliance.backup" --state-directory "$WORK/second.state"
head -c 5000 "$WORK/appliance.backup" > "$WORK/cut"
expect_failure 8 "ends too early" restore "$WORK/cut" --state-directory "$WORK/second.state" \
  --passphrase-file "$WORK/passphrase"
expect_failure 8 "" restore "$WORK/disk.raw" --state-directory "$WORK/second.state"
expect_failure 4 "there is an appliance" restore "$WORK/appliance.backup" --state-directory "$state" \
  --passphrase-file "$WORK/passphrase"
[ ! -e "$WORK/second.state/catalog.sqlite" ] || fail "a refused restore made an appliance"

check_second() {  # check_second NAME: the appliance of that name has everything, and the agent goes on
  [ "$(appliance_fingerprint "$1")" = "$fingerprint" ] || fail "$1 has another authority"
  muletto host list -o json | jq -e '.hosts | map(.name) | index("host")' > /dev/null
  muletto policy list -o json | jq -e '.policies | map(.name) | index("nightly")' > /dev/null
  muletto point list -o json | jq -e '[.points[] | select(.held)] | length == 1' > /dev/null \
    || muletto point list -o json | jq -e '[.points[] | select(.hold != null)] | length == 1' > /dev/null \
    || fail "the hold is lost: $(muletto point list -o json)"
  local before
  before=$(muletto point list -o json | jq '.points | length')
  head -c 64K /dev/urandom | dd of="$WORK/disk.raw" conv=notrunc status=none
  agent sync web > /dev/null || fail "the agent does not go on at $1"
  [ "$(muletto point list -o json | jq '.points | length')" -eq $((before + 1)) ]
  muletto machine list --appliance "$(appliance_address "$1")" --token-file "$WORK/token" \
    --fingerprint "$fingerprint" > /dev/null || fail "the operator's token is lost"
}

# ---- from the file, at the old address, with the store's disk in its place
restore "$WORK/appliance.backup" --state-directory "$WORK/second.state" --passphrase-file "$WORK/passphrase"
mv "$state/stores" "$WORK/second.state/stores"
_appliance_ports[second]=${_appliance_ports[mulettod]}
start_appliance --name second
[ "$(muletto point list -o json | jq '.points | length')" -eq 2 ] || fail "points of the store are missing"
check_second second
muletto tenant list -o json | jq -e '.tenants | map(.name) | index("acme")' > /dev/null
muletto tenant info --tenant acme -o json > /dev/null || fail "the key of the encrypted store is lost"

# ---- from the store alone
stop_background second
restore "$WORK/second.state/stores/default" --state-directory "$WORK/third.state" -o json > "$WORK/restored.json"
jq -e .appliance "$WORK/restored.json" > /dev/null
[ ! -e "$WORK/third.state/keys/acme" ] || fail "a store's key was in another tenant's store"
mv "$WORK/second.state/stores" "$WORK/third.state/stores"
_appliance_ports[third]=${_appliance_ports[mulettod]}
start_appliance --name third
check_second third
