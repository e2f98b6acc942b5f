#!/usr/bin/env bash
# A host's certificate is renewed by its agent when half of its time is over, and not before, regardless of who asks: the old
# one continues to count, and a revoked host's are all void.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent fake-clock.so
require_commands jq curl openssl python3

# Both programs' clock is off by what the file says.
set_clock() {  # set_clock SECONDS
  python3 -c 'import struct, sys; open(sys.argv[1], "wb").write(struct.pack("=q", int(sys.argv[2])))' "$WORK/clock" "$1"
}
set_clock 0
mkdir "$WORK/faked"
for program in mulettod muletto-agent; do
  printf '#!/bin/sh\nexport LD_PRELOAD=%s MULETTO_FAKE_CLOCK=%s\nexec %s "$@"\n' \
    "$BIN/fake-clock.so" "$WORK/clock" "$BIN/$program" > "$WORK/faked/$program"
  chmod +x "$WORK/faked/$program"
done
PATH=$WORK/faked:$PATH

serve() {
  start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
}
serve
head -c 1M /dev/urandom > "$WORK/web.raw"
write_agent_config agent "web=$WORK/web.raw"
enroll_agent alpha --config "$WORK/agent.toml"
enrollment=$(find "$WORK/agent" -name 'enroll*' -type f)
keep() {  # keep NAME   the certificate and key of now as files
  jq -r .certificate "$enrollment" > "$WORK/$1.crt"
  jq -r .key "$enrollment" > "$WORK/$1.key"
}
renew_as() {  # renew_as NAME   the status of an order to renew with that certificate, as a thief would give it
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x 2> /dev/null \
    | jq -Rs '{request: .}' \
    | curl -sk --cert "$WORK/$1.crt" --key "$WORK/$1.key" -H 'Content-Type: application/json' --data-binary @- \
      -o "$WORK/answer" -w '%{http_code}' "https://$(appliance_address)/api/v1/agent/renew"
}
poll_as() {
  curl -sk --cert "$WORK/$1.crt" --key "$WORK/$1.key" -H 'Content-Type: application/json' -d '{}' \
    -o "$WORK/answer" -w '%{http_code}' "https://$(appliance_address)/api/v1/agent/poll"
}
keep first
[ "$(renew_as first)" = 409 ] || fail "a new certificate is renewed: $(cat "$WORK/answer")"
grep -q "can be renewed from" "$WORK/answer" || fail "it is not said when: $(cat "$WORK/answer")"

# Five years and a month later, after a restart: the clock that was right all the time.
stop_background mulettod
set_clock $((5 * 365 * 86400 + 31 * 86400))
serve
muletto clock accept > /dev/null
start_background agent muletto-agent run --config "$WORK/agent.toml"
renewed() {
  keep second
  ! cmp -s "$WORK/first.crt" "$WORK/second.crt"
}
wait_until 30 "the agent renews its certificate" renewed
wait_until 30 "the log says so" grep -q "this host's certificate is renewed" "$WORK/agent.log"
stop_background agent
openssl x509 -in "$WORK/second.crt" -noout -subject | has -i "$(jq -r .host_id "$enrollment")" \
  || fail "the new certificate is another host's"
made=$(muletto host list -o json | json '.hosts[] | select(.name == "alpha") | .certificate_made')
[ "${made:0:4}" -ge $(($(/bin/date +%Y) + 5)) ] || fail "the list says that it was made $made"

# Both count; the new one is not renewed again.
[ "$(poll_as first)" = 200 ] || fail "the old certificate does not count any more: $(cat "$WORK/answer")"
[ "$(poll_as second)" = 200 ] || fail "the new certificate does not count: $(cat "$WORK/answer")"
[ "$(renew_as second)" = 409 ] || fail "the new certificate is renewed at once: $(cat "$WORK/answer")"
muletto-agent sync web --config "$WORK/agent.toml" --quiet > /dev/null

muletto host revoke alpha > /dev/null
for name in first second; do
  [ "$(poll_as $name)" = 403 ] || fail "the $name certificate of a revoked host counts: $(cat "$WORK/answer")"
done
pass
