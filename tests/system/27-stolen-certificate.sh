#!/usr/bin/env bash
# A thief of an agent's certificate and key can change nothing through the API: each route that the specification
# names is tried, with real ids. Another host's machine cannot be written, and after its revocation nothing works.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent
require_commands curl jq

state=$WORK/state run=$WORK/run
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
port=$(json .port < "$run/mulettod.json")
agent() { # agent HOST COMMAND...
  local host=$1 command=$2
  shift 2
  muletto-agent "$command" "$@" --state-directory "$WORK/$host" --run-directory "$WORK/$host.run"
}
for host in alpha thief; do
  agent $host enroll "127.0.0.1:$port" --token "$(muletto token create --expires 5m -o json | json .token.token)" \
    --fingerprint "$(json .fingerprint < "$run/mulettod.json")" --name $host > /dev/null
done
head -c 1000000 /dev/urandom > "$WORK/disk.raw"
truncate -s 1M "$WORK/disk.raw"
agent alpha sync web --image "$WORK/disk.raw" --format raw --quiet > /dev/null
agent thief sync own --image "$WORK/disk.raw" --format raw --quiet > /dev/null
points() {
  muletto point list -o json | jq -c '[.points[].id] | sort'
}
before=$(points)
web=$(muletto point list --machine web -o json | json '.points[0].id')
own=$(muletto point list --machine own -o json | json '.points[0].id')

json .certificate < "$WORK/thief/enrollment.json" > "$WORK/thief.crt"
json .key < "$WORK/thief/enrollment.json" > "$WORK/thief.key"
attempt() { # attempt METHOD PATH: prints the HTTP status; who asks too often is told to wait, and does
  local status=429
  while [ "$status" = 429 ]; do
    status=$(request "$@")
    [ "$status" != 429 ] || sleep 1
  done
  echo "$status"
}
request() {
  curl -sk --noproxy '*' --max-time 20 --cert "$WORK/thief.crt" --key "$WORK/thief.key" -X "$1" \
    -H 'Content-Type: application/json' -d '{}' -o "$WORK/answer" -w '%{http_code}' "https://127.0.0.1:$port$2"
}

# Lines "METHOD PATH" of the specification. What is meant for agents, or for everybody, is left out.
"$SOURCE/tests/tools/api-contract" routes | grep ' /api/' |
  grep -vE '/api/v1/(enroll|transfer|status|agent|setup$)|^POST /api/v1/(rescue-)?sessions$' > "$WORK/routes"
[ "$(wc -l < "$WORK/routes")" -gt 15 ] || fail "routes were not found"
tried=0
while read -r method path; do
  for id in "$web" "$own" alpha web 1; do
    status=$(attempt "$method" "$(sed "s/{[a-z]*}/$id/g" <<< "$path")")
    [[ $status =~ ^(401|403|404)$ ]] || fail "$method $path with $id gives $status: $(cat "$WORK/answer")"
    tried=$((tried + 1))
    [[ $path == *{* ]] || break
  done
done < "$WORK/routes"
[ "$(attempt DELETE "/api/v1/points/$own")" != 404 ] || fail "the route to delete points was not tried"
echo "$tried requests refused"
[ "$(points)" = "$before" ] || fail "points are missing"
sleep 3  # that were many requests: the next ones would be told to wait
expect_failure 5 "web" agent thief sync web --image "$WORK/disk.raw" --format raw --quiet
[ "$(points)" = "$before" ] || fail "another host's machine was written"

muletto host revoke thief > /dev/null
[[ $(attempt GET /api/v1/points) =~ ^40[13]$ ]] || fail "a revoked certificate is heard"
expect_failure 5 "revoked" agent thief sync own --image "$WORK/disk.raw" --format raw --quiet
[ "$(points)" = "$before" ] || fail "a revoked host wrote"
pass
