#!/usr/bin/env bash
# timeout: 240
# The audit log: what is in it, and what is found when somebody changes it: an entry in the SQLite file, with and
# without all hashes computed again, a removed one, a removed end. While it cannot be written nothing is changed.
. "$(dirname "$0")/lib.sh"

require_root
require_commands curl jq sqlite3 python3
require_programs mulettod muletto
ensure_libvirt

CATALOG=$WORK/state/catalog.sqlite
sql() {
  sqlite3 -cmd '.timeout 5000' "$CATALOG" "$1"
}
# hash_again FIRST   computes the hashes again from that entry on, as somebody would who can write to the file.
hash_again() {
  python3 - "$CATALOG" "$1" <<'PY'
import hashlib, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
first = int(sys.argv[2])
last = db.execute("SELECT hash FROM audit WHERE sequence = ?", (first - 1,)).fetchone()[0]
for number, body in db.execute("SELECT sequence, body FROM audit WHERE sequence >= ? ORDER BY sequence", (first,)).fetchall():
    last = hashlib.sha256(last + body.encode()).digest()
    db.execute("UPDATE audit SET hash = ? WHERE sequence = ?", (last, number))
db.commit()
PY
}
# broken REGEX   audit verify must fail, and say so.
broken() {
  local status=0
  muletto audit verify > "$WORK/said" || status=$?
  [ "$status" -ne 0 ] || fail "nothing was found: $(cat "$WORK/said")"
  has -E "$1" < "$WORK/said" || fail "'$1' is not in: $(cat "$WORK/said")"
}
start_appliance
muletto tenant create acme > /dev/null
muletto tenant set acme --quota 1G > /dev/null
token=$(muletto token create --for operator --role auditor --note reader --output json | json .token.token)
curl -sk -o /dev/null -X DELETE -H "Authorization: Bearer $token" "https://$(appliance_address)/api/v1/tenants/acme"
curl -sk -o /dev/null -X PUT -H "Authorization: Bearer $token" --data '{"quota": 5}' \
  "https://$(appliance_address)/api/v1/tenants/acme"
curl -sk -o /dev/null -H "Authorization: Bearer mt_wrong" "https://$(appliance_address)/api/v1/machines"
expect_failure 3 "no tenant|does not exist|there is no" muletto tenant set nobody --quota 1G

# ---- what is in it
muletto audit list > "$WORK/list"
muletto audit export > "$WORK/export"
has -E 'root +this machine +POST /api/v1/tenants .*"name":"acme".* done 201' < "$WORK/list" || fail "$(cat "$WORK/list")"
has -E 'root .*PUT /api/v1/tenants/nobody .* failed 404' < "$WORK/list" || fail "a failure is missing: $(cat "$WORK/list")"
has -E 'token [0-9a-f]{16} +127.0.0.1 +PUT /api/v1/tenants/acme .* refused 403' < "$WORK/list" || fail "$(cat "$WORK/list")"
has -E 'a stranger +127.0.0.1 +GET /api/v1/machines .* refused 401' < "$WORK/list" || fail "$(cat "$WORK/list")"
! has -F "$token" < "$WORK/export" || fail "a secret is in the log"
# Anybody who has the export can check it.
python3 - "$WORK/export" <<'PY' || fail "the export does not fit its description"
import hashlib, json, sys
last = bytes(32)
for line in open(sys.argv[1], "rb"):
    entry, _, end = line.rstrip(b"\n").rpartition(b',"hash":"')
    entry = entry[len(b'{"entry":'):]
    last = hashlib.sha256(last + entry).digest()
    assert end == last.hex().encode() + b'"}', line
    json.loads(entry)
PY
muletto audit verify --anchor > "$WORK/said"
has "is whole" < "$WORK/said" || fail "$(cat "$WORK/said")"
has "stores of 2 tenants" < "$WORK/said" || fail "$(cat "$WORK/said")"
node=$(< "$WORK/state/node-id")
[ -s "$WORK/state/stores/acme/audit/$node" ] || fail "no anchor in the store of acme"
anchored=$(sql "SELECT max(sequence) FROM audit")

# ---- an entry is changed
sql ".backup $WORK/good.sqlite"
cp -a "$WORK/state/stores" "$WORK/good.stores"
number=$(sql "SELECT sequence FROM audit WHERE body LIKE '%PUT /api/v1/tenants/acme%' AND body LIKE '%token %' LIMIT 1")
sql "UPDATE audit SET body = replace(body, '127.0.0.1', '10.0.0.99') WHERE sequence = $number"
broken "entry $number was changed"
hash_again "$number"
broken "(remembers another entry|entry [0-9]+ was changed)"
alerted() { muletto alert list | has audit-broken; }
# The daemon, which no longer remembers, has only the anchors.
stop_background mulettod
start_appliance
broken "remembers another entry"
wait_until 30 "an alert says so" alerted

# ---- an entry is removed
restore() {
  rm -f "$CATALOG-wal" "$CATALOG-shm"
  cp "$WORK/good.sqlite" "$CATALOG"
  # A daemon anchors at its start, also what is wrong, and takes no anchor back.
  for store in "$WORK"/good.stores/*; do cp -a "$store/audit/." "$WORK/state/stores/$(basename "$store")/audit/"; done
}
stop_background mulettod
restore
start_appliance
muletto audit verify > "$WORK/said" || fail "the restored one is not whole: $(cat "$WORK/said")"
sql "DELETE FROM audit WHERE sequence = $number"
broken "entry $number is missing"

# ---- the end is removed, which the chain itself cannot show
stop_background mulettod
restore
sqlite3 "$CATALOG" "DELETE FROM audit WHERE sequence > $((anchored - 3))"
start_appliance
broken "remembers (another )?entry (1[0-9]|$anchored)"

# ---- the anchors of a store are damaged
stop_background mulettod
restore
start_appliance
printf 'x' | dd of="$WORK/state/stores/acme/audit/$node" bs=1 seek=30 conv=notrunc status=none
broken "anchors in the store of tenant acme cannot be read"

# ---- while no entry can be written, nothing is changed, and reading goes on
stop_background mulettod
restore
start_appliance
sql "CREATE TRIGGER stop BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more'); END"
expect_failure 6 "audit log cannot be written" muletto tenant create late
muletto tenant list > "$WORK/tenants"
! has late < "$WORK/tenants" || fail "a tenant was made without an entry"
wait_until 30 "an alert says so" alerted
sql "DROP TRIGGER stop"
muletto tenant create late > /dev/null
muletto audit verify | has "is whole" || fail "the log is not whole afterwards"

# ---- a setting that is not understood
printf '[audit]\nsyslog = "yes"\n' > "$WORK/mulettod.toml"
expect_failure 2 "true or false" mulettod --config "$WORK/mulettod.toml" --state-directory "$WORK/none" \
  --run-directory "$WORK/none.run"
