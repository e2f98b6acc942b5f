#!/usr/bin/env bash
# timeout: 240
# People sign in as with a browser: first owner, cookie, other sites' pages, a cookie that was stolen, one-time codes of
# another program (oathtool), roles, and guessing, which slows down who guesses and nobody else.
. "$(dirname "$0")/lib.sh"

require_root
require_commands curl jq oathtool
require_programs mulettod muletto
ensure_libvirt
record_api

start_appliance
ADDRESS=$(appliance_address)
ORIGIN=https://$ADDRESS
PASSWORD="a long word for it"

# ask STATUS METHOD PATH [BODY] [OPTION...]   over TLS; the answer is in $WORK/answer.
ask() {
  local seen
  seen=$(curl -sk -X "$2" -o "$WORK/answer" -D "$WORK/headers" -w '%{http_code}' "https://$ADDRESS/api/v1$3" \
    ${4:+--data "$4"} "${@:5}")
  [ "$seen" = "$1" ] || fail "$2 $3 gives $seen, not $1: $(cat "$WORK/answer")"
}
# browser JAR STATUS METHOD PATH [BODY] [OPTION...]   as the appliance's page does, with the cookies of that jar.
browser() {
  ask "$2" "$3" "$4" "${5:-}" -b "$WORK/$1.jar" -c "$WORK/$1.jar" -H "Origin: $ORIGIN" "${@:6}"
}
sign_in() { # JAR STATUS USER PASSWORD [CODE]
  browser "$1" "$2" POST /sessions "$(jq -nc --arg user "$3" --arg password "$4" --arg code "${5:-}" \
    '{$user, $password} + (if $code == "" then {} else {$code} end)')"
}
answer() {
  json "$1" < "$WORK/answer"
}

# ---- the first owner
ask 200 GET /setup
[ "$(answer .first_start)" = true ] || fail "it is not the first start"
[ "$(stat -c %a "$WORK/state/setup-code")" = 600 ] || fail "the code can be read by others"
code=$(muletto setup code 2> /dev/null)
ask 401 POST /setup '{"code": "AAAA-AAAA-AAAA-AAAA", "user": "eve", "password": "a word of eve 1"}'
ask 403 POST /setup "{\"code\": \"$code\", \"user\": \"eve\", \"password\": \"a word of eve 1\"}" -H "Origin: https://evil.example"
ask 400 POST /setup "{\"code\": \"$code\", \"user\": \"olga\", \"password\": \"short\"}"
ask 201 POST /setup "{\"code\": \"${code,,}\", \"user\": \"olga\", \"password\": \"$PASSWORD\"}" -H "Origin: $ORIGIN"
ask 409 POST /setup "{\"code\": \"$code\", \"user\": \"eve\", \"password\": \"a word of eve 1\"}"
[ ! -e "$WORK/state/setup-code" ] || fail "the code is still there"
expect_failure 3 "users already" muletto setup code

# ---- a session in a cookie
ask 401 GET /machines
sign_in olga 401 olga "a wrong password"
sign_in olga 201 olga "$PASSWORD"
has -i '^set-cookie: muletto_session=ms_[0-9a-f]\{64\}; Path=/; HttpOnly; Secure; SameSite=Strict' < "$WORK/headers" \
  || fail "the cookie is not as it must be: $(cat "$WORK/headers")"
browser olga 200 GET /sessions/current
[ "$(answer '.name + " " + .role')" = "olga owner" ] || fail "who am I: $(cat "$WORK/answer")"
ask 200 GET /machines "" -b "$WORK/olga.jar"
browser olga 201 POST "/users?tenant=default" \
  "{\"name\": \"vera\", \"role\": \"tenant-viewer\", \"password\": \"$PASSWORD\"}"
# Another site's page has the browser send the cookie along.
for origin in https://evil.example null "http://$ADDRESS" "https://$ADDRESS.evil.example" https://127.0.0.1:1; do
  ask 403 DELETE /users/vera "" -b "$WORK/olga.jar" -H "Origin: $origin"
  [ "$(answer .error.reason)" = foreign-origin ] || fail "the reason: $(cat "$WORK/answer")"
done
ask 403 DELETE /users/vera "" -b "$WORK/olga.jar"
ask 403 GET /boots/0011223344556677/console/ws "" -b "$WORK/olga.jar" -H "Origin: https://evil.example" \
  -H "Connection: Upgrade" -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13" -H "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
browser olga 200 GET /users/vera
# Nothing of it is stored but a hash.
secret=$(awk '/muletto_session/ {print $7}' "$WORK/olga.jar")
[ -n "$secret" ] || fail "no cookie"
! grep -qaF "${secret#ms_}" "$WORK"/state/catalog.sqlite* || fail "the session's secret is in the catalog"
! grep -qaF "$PASSWORD" "$WORK"/state/catalog.sqlite* || fail "a password is in the catalog"

# ---- a stolen cookie is worth nothing after the sign-out
cp "$WORK/olga.jar" "$WORK/thief.jar"
ask 200 GET /machines "" -b "$WORK/thief.jar"
browser olga 200 DELETE /sessions/current
ask 401 GET /machines "" -b "$WORK/thief.jar"
has "session has ended" < "$WORK/answer" || fail "$(cat "$WORK/answer")"
ask 200 GET /setup "" -b "$WORK/thief.jar"

# ---- roles, and a session that ends with a change
printf '%s\n' "$PASSWORD" > "$WORK/password"
muletto user create theo --role technician --note "on call" --password-file "$WORK/password" > /dev/null
expect_failure 4 "already|taken" muletto user create theo --role auditor --password-file "$WORK/password"
expect_failure 2 "12 to 256" muletto user create nina --role auditor --password-file - <<< short
sign_in theo 201 theo "$PASSWORD"
browser theo 403 DELETE /points/0011223344556677
browser theo 403 POST /tenants '{"name": "acme"}'
browser theo 403 POST /users '{"name": "mine", "role": "owner", "password": "a long word for it"}'
browser theo 403 POST /tokens '{"kind": "operator", "role": "administrator"}'
browser theo 201 POST /tokens '{"kind": "operator"}'
token=$(answer .token.token)
ask 200 GET /machines "" -H "Authorization: Bearer $token"
ask 403 POST /tenants '{"name": "acme"}' -H "Authorization: Bearer $token"
muletto session list --output json | json '.sessions[].name' | has -x theo || fail "theo is not in the list"
muletto user set-role theo auditor > /dev/null
browser theo 401 GET /machines
sign_in theo 201 theo "$PASSWORD"
browser theo 200 GET /audit
browser theo 403 POST /machines/web/sync
muletto session end "$(muletto session list --output json | json '.sessions[] | select(.name == "theo") | .id')" > /dev/null
browser theo 401 GET /machines
muletto user disable theo > /dev/null
ask 401 GET /machines "" -H "Authorization: Bearer $token"
sign_in theo 401 theo "$PASSWORD"
muletto user disable theo --undo > /dev/null
ask 200 GET /machines "" -H "Authorization: Bearer $token"
muletto user delete theo > /dev/null
ask 401 GET /machines "" -H "Authorization: Bearer $token"
expect_failure 4 "last owner" muletto user delete olga

# ---- a second factor, with another program's codes
sign_in olga 201 olga "$PASSWORD"
browser olga 400 POST /users/olga/totp
browser olga 201 POST /users/olga/totp "{\"password\": \"$PASSWORD\"}"
key=$(answer .totp.secret)
[[ "$(answer .totp.address)" == otpauth://totp/*secret=$key* ]] || fail "$(cat "$WORK/answer")"
sign_in other 201 olga "$PASSWORD" # it does not count yet
browser olga 401 PUT /users/olga/totp '{"code": "000000"}'
browser olga 200 PUT /users/olga/totp "{\"code\": \"$(oathtool --totp -b "$key")\"}"
recovery=$(answer '.recovery_codes[0]')
[ "$(answer '.recovery_codes | length')" = 10 ] || fail "$(cat "$WORK/answer")"
sign_in other 401 olga "$PASSWORD"
[ "$(answer .error.reason)" = code-needed ] || fail "$(cat "$WORK/answer")"
sign_in other 401 olga "$PASSWORD" 000000
next=$(oathtool --totp -b --now "30 seconds" "$key")
sign_in other 201 olga "$PASSWORD" "$next"
sign_in other 401 olga "$PASSWORD" "$next" # once
sign_in other 201 olga "$PASSWORD" "$recovery"
sign_in other 401 olga "$PASSWORD" "$recovery"
muletto user show olga --output json | json .user.recovery_codes | has -x 9 || fail "a code was not used up"
muletto user totp olga --remove > /dev/null
browser olga 401 GET /machines
sign_in olga 201 olga "$PASSWORD"

# ---- one's own password
browser olga 401 PUT /users/olga/password '{"password": "another long word", "old_password": "no"}'
browser olga 200 PUT /users/olga/password "{\"password\": \"another long word\", \"old_password\": \"$PASSWORD\"}"
browser olga 401 GET /machines
sign_in olga 401 olga "$PASSWORD"
sign_in olga 201 olga "another long word"

# ---- guessing from one address is slowed; the right password does not help then, and root can always sign in
status=401
for try in {1..12}; do
  status=$(curl -sk -o "$WORK/answer" -D "$WORK/headers" -w '%{http_code}' "https://$ADDRESS/api/v1/sessions" \
    --data "{\"user\": \"vera\", \"password\": \"guess $try\"}")
  [ "$status" = 401 ] || break
done
[ "$status" = 429 ] || fail "12 guesses were looked at"
[ "$try" -ge 6 ] || fail "the $try. guess had to wait"
has -i '^retry-after: [0-9]' < "$WORK/headers" || fail "no Retry-After"
muletto user list > /dev/null
muletto audit list --limit 400 --output json \
  | json '.entries[].entry | select(.status == 429) | .details.user + " " + .from' | has -x "vera 127.0.0.1" \
  || fail "the guess is not in the audit log"
vera_signs_in() {
  curl -sk -f -o /dev/null -c "$WORK/vera.jar" "https://$ADDRESS/api/v1/sessions" \
    --data "{\"user\": \"vera\", \"password\": \"$PASSWORD\"}"
}
wait_until 60 "vera is let in when she has waited" vera_signs_in
browser vera 200 GET /machines
browser vera 403 GET /users
browser vera 403 GET /audit

# ---- nothing of it survives wrongly: sessions do survive a restart of the daemon
stop_background mulettod
start_appliance
browser vera 200 GET /machines
muletto audit verify | has "is whole" || fail "the audit log is not whole"
