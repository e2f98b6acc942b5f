#!/usr/bin/env bash
# mulettod and muletto without a machine: start, readiness, every command's help, wrong words, tokens,
# enrolment, operators from afar, a second daemon, a port in use, SIGKILL and SIGTERM.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto
require_commands jq curl openssl

state=$WORK/state run=$WORK/run

start_daemon() {
  start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt" --log-level debug
  port=$(json .port < "$run/mulettod.json")
  fingerprint=$(json .fingerprint < "$run/mulettod.json")
}

start_daemon
[ "$(json .pid < "$run/mulettod.json")" = "$(background_pid mulettod)" ] || fail "mulettod.json has another pid"
[ "$(stat -c %a "$run/api.sock")" = 600 ] || fail "the socket is open for others"
[ "$(stat -c %a "$state/catalog.sqlite")" = 600 ] || fail "the catalog is open for others"

# ---- help, for every command there is
muletto --help > "$WORK/help"
sed -nE 's/^  ([a-z]+ [a-z]+|status)  .*/\1/p' "$WORK/help" > "$WORK/commands"
[ "$(wc -l < "$WORK/commands")" -ge 30 ] || fail "the help lists only $(wc -l < "$WORK/commands") commands"
while read -r command; do
  # shellcheck disable=SC2086
  muletto $command --help > "$WORK/help"  # not into grep -q, which ends before a long help does
  grep -q "^usage: muletto $command" "$WORK/help" || fail "no help for $command"
  # shellcheck disable=SC2086
  expect_failure 2 "no-such-option" muletto $command --no-such-option
done < "$WORK/commands"
mulettod --help > "$WORK/help"
grep -q -- --state-directory "$WORK/help"

# ---- the API's description has every route with its methods, and no other
"$SOURCE/tests/tools/api-contract" routes > "$WORK/described"
{ # A path is any that the sources name; a daemon that is asked with another method says which it knows.
  grep -rhoE --include='*.cc' --include='*.h' '"/((api/v1|console|assets|novnc|page)/[^"]*)?"' "$SOURCE/appliance/api"
  cut -d ' ' -f 2 "$WORK/described"
} | tr -d '"' | sed 's/[.]\{3\}}/}/' | sort -u > "$WORK/paths"
while read -r path; do
  curl -s --unix-socket "$MULETTO_SOCKET" -X PATCH -o /dev/null -D - "http://localhost$(sed 's/{[^}]*}/x/g' <<< "$path")" \
    | tr -d '\r' | sed -n 's/^Allow: //Ip' | tr -d ' ' | tr , '\n' | sed "s|\$| $path|"
done < "$WORK/paths" | grep -vx "GET /api/v1/boots/check" | grep -v ' /console/ws$' | sort -u > "$WORK/routed"  # "check" could be a boot
diff "$WORK/described" "$WORK/routed" || fail "openapi.yaml and the routes differ"

# ---- the appliance without machines
muletto status -o json > "$WORK/status.json"
[ "$(json .fingerprint < "$WORK/status.json")" = "$fingerprint" ] || fail "status shows another fingerprint"
[ "$(json .boots.problem < "$WORK/status.json")" != null ] || fail "a libvirt that is not there goes unnoticed"
for noun in machine point job token host; do
  muletto "$noun" list > /dev/null
  [ "$(muletto "$noun" list --output json | json ".${noun}s | length")" = 0 ] || fail "$noun list is not empty"
done

# ---- wrong words get a sentence
expect_failure 3 "no machine 'nobody'" muletto machine show nobody
expect_failure 3 "no machine 'nobody'" muletto point list --machine nobody
expect_failure 3 "nobody" muletto point show nobody@latest
expect_failure 3 "nobody" muletto boot start nobody@latest
expect_failure 2 "POINT is missing" muletto boot start
expect_failure 2 "network" muletto boot start nobody@latest --network carrier-pigeon
expect_failure 2 "cpus must be" muletto boot start nobody@latest --cpus -1
expect_failure 2 "memory" muletto boot start nobody@latest --memory lots
expect_failure 2 "keep" muletto boot stop some < /dev/null
expect_failure 2 "not both" muletto boot stop some --discard --keep
expect_failure 6 "libvirt" muletto boot stop some --discard
expect_failure 3 "no job 99" muletto job show 99
expect_failure 2 "not the number" muletto job follow x
expect_failure 2 "not a state" muletto job list --state tired
expect_failure 3 "no token" muletto token revoke 1234567890abcdef
expect_failure 2 "not a duration" muletto token create --expires soon
expect_failure 2 "agent or operator" muletto token create --for fun
expect_failure 3 "no host" muletto host revoke nobody
expect_failure 3 "no tenant" muletto machine list --tenant nobody
expect_failure 6 "is mulettod running" muletto status --socket "$WORK/nothing.sock"
expect_failure 2 "no command 'dance'" muletto dance
expect_failure 2 "text or json" muletto status --output xml
expect_failure 6 "no-libvirt|libvirt" muletto boot list

# ---- libvirt is not needed for the rest
muletto tenant info > /dev/null
muletto tenant check > /dev/null
muletto tenant compact > /dev/null
muletto tenant recompute > /dev/null

# ---- a store that is in use has one writer
expect_failure 4 "" muletto store compact "$state/stores/default"

# ---- enrolment: a wrong token, a right one, and the same again
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=alpha \
  -keyout "$WORK/alpha.key" -out "$WORK/alpha.csr" 2> /dev/null
enroll() {
  jq -n --arg token "$1" --arg name "$2" --rawfile request "$WORK/alpha.csr" '{$token, $name, $request}' |
    curl -sk --data @- "https://127.0.0.1:$port/api/v1/enroll"
}
[ "$(enroll mt_wrong alpha | json .error.code)" = unauthorized ] || fail "a wrong token enrols"
muletto token create --expires 5m -o json > "$WORK/token.json"
token=$(json .token.token < "$WORK/token.json")
[ "$(json .token.command < "$WORK/token.json")" = \
  "muletto-agent enroll 127.0.0.1:$port --fingerprint $fingerprint" ] || fail "another enroll line"
muletto token create | has 'muletto-agent enroll' || fail "token create does not print the line for the host"
! grep -q "$token" "$state"/catalog.sqlite* || fail "the token's secret is in the catalog"
enroll "$token" alpha > "$WORK/alpha.json"
json .certificate < "$WORK/alpha.json" > "$WORK/alpha.crt"
json .authority < "$WORK/alpha.json" > "$WORK/ca.crt"
openssl verify -CAfile "$WORK/ca.crt" "$WORK/alpha.crt" > /dev/null
[ "$(enroll "$token" beta | json .error.code)" = unauthorized ] || fail "a token enrols twice"
[ "$(muletto host list -o json | json '.hosts[0].name')" = alpha ] || fail "alpha is not listed"

# ---- what an agent may not do
agent() {
  curl -s --cacert "$WORK/ca.crt" --cert "$WORK/alpha.crt" --key "$WORK/alpha.key" \
    --resolve "localhost:$port:127.0.0.1" "$@"
}
[ "$(agent "https://localhost:$port/api/v1/machines" | json .error.code)" = unauthorized ] || fail "agents may list"
[ "$(agent -X DELETE "https://localhost:$port/api/v1/points/x" | json .error.code)" = unauthorized ] ||
  fail "agents may delete"
muletto host revoke alpha
agent "https://localhost:$port/api/v1/transfer" -H "Upgrade: muletto-transfer" -H "Connection: Upgrade" |
  grep -q revoked || fail "a revoked host is let in"

# ---- an operator from afar
muletto token create --for operator --note laptop -o json | json .token.token > "$WORK/operator"
remote=(--appliance "127.0.0.1:$port" --fingerprint "$fingerprint" --token-file "$WORK/operator")
muletto status "${remote[@]}" > /dev/null
echo mt_wrong > "$WORK/wrong"
expect_failure 5 "token" muletto status --appliance "127.0.0.1:$port" --fingerprint "$fingerprint" --token-file "$WORK/wrong"
expect_failure 5 "" muletto status --appliance "127.0.0.1:$port" --token-file "$WORK/operator" \
  --fingerprint "$(printf '0%.0s' {1..64})"
expect_failure 2 "fingerprint" muletto status --appliance "127.0.0.1:$port" --token-file "$WORK/operator"
id=$(muletto token list -o json | json '.tokens[] | select(.note == "laptop") | .id')
muletto token revoke "$id" > /dev/null
expect_failure 5 "revoked" muletto status "${remote[@]}"

# ---- strangers and nonsense on the port
[ "$(curl -sk "https://127.0.0.1:$port/api/v1/status" | json .error.code)" = unauthorized ] || fail "strangers may ask"
[ "$(curl -sk -o /dev/null -w '%{http_code}' -H "X: $(head -c 20000 /dev/zero | tr '\0' x)" \
  "https://127.0.0.1:$port/")" = 431 ] || fail "a huge header is not refused"
[ "$(head -c 2000000 /dev/zero | curl -sk -o /dev/null -w '%{http_code}' -H 'Expect:' --data-binary @- \
  "https://127.0.0.1:$port/api/v1/enroll")" = 413 ] || fail "a huge body is not refused"
head -c 5000 /dev/urandom | timeout 5 nc -q1 127.0.0.1 "$port" > /dev/null 2>&1 || true
! curl -sk --tls-max 1.2 "https://127.0.0.1:$port/" || fail "TLS 1.2 is spoken"
muletto status > /dev/null

# ---- in each other's way
expect_failure 4 "another mulettod.*--state-directory" mulettod --state-directory "$state" --run-directory "$WORK/run2" --listen 127.0.0.1:0
expect_failure 4 "another mulettod.*--run-directory" mulettod --state-directory "$WORK/state2" --run-directory "$run" --listen 127.0.0.1:0
expect_failure 4 "cannot listen on 127.0.0.1:$port.*--listen" \
  mulettod --state-directory "$WORK/state2" --run-directory "$WORK/run2" --listen "127.0.0.1:$port"
expect_failure 2 "not HOST:PORT" mulettod --listen nonsense
echo 'listne = "x"' > "$WORK/bad.toml"
expect_failure 2 "line 1: there is no setting 'listne'" mulettod --config "$WORK/bad.toml"
expect_failure 3 "missing.toml" mulettod --config "$WORK/missing.toml"

# ---- what was there is there after SIGKILL
stop_background mulettod KILL
rm "$run/mulettod.json"
expect_failure 6 "" muletto status
start_daemon
[ "$(muletto host list -o json | json '.hosts[0].revoked')" = true ] || fail "the revocation is forgotten"

rss=$(awk '/VmHWM/ {print $2}' "/proc/$(background_pid mulettod)/status")
[ "$rss" -le 262144 ] || fail "mulettod took $rss KiB"

stop_background mulettod
[ ! -e "$run/mulettod.json" ] || fail "mulettod.json is there after the end"
grep -q "stopping on signal 15" "$WORK/mulettod.log" || fail "SIGTERM did not end it in order"
