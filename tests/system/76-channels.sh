#!/usr/bin/env bash
# timeout: 300
# People are notified of alerts through real servers: mail with STARTTLS and a password, signed webhooks, syslog, SNMP
# informs, a heartbeat; by conditions, with silences and acknowledgements; and a daemon that is killed in the middle
# loses nothing.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl openssl python3 snmptrapd snmptrap rsyslogd
require_programs mulettod muletto muletto-agent
/usr/bin/python3 -c 'import aiosmtpd' 2> /dev/null || skip "needs python3-aiosmtpd"
ensure_libvirt

# ---- the servers
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
  -addext 'subjectAltName=IP:127.0.0.1' -keyout "$WORK/mail.key" -out "$WORK/mail.pem" 2> /dev/null
cat > "$WORK/mail.py" <<'PY'
"""A mail server that insists on STARTTLS and a password, and keeps what it gets."""
import json, ssl, sys, time
from email import message_from_bytes, policy
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

work, port = sys.argv[1], int(sys.argv[2])


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        row = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": mail["subject"],
               "notice": mail["muletto-notice"], "body": mail.get_content(), "tls": session.ssl is not None}
        with open(f"{work}/mails.jsonl", "a") as out:
            out.write(json.dumps(row) + "\n")
        return "250 kept"


def who(server, session, envelope, mechanism, data):
    good = data.login == b"backup" and data.password == b"correct horse"
    return AuthResult(success=good, handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{work}/mail.pem", f"{work}/mail.key")
Controller(Keeper(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
           auth_required=True, authenticator=who).start()
print("ready", flush=True)
while True:
    time.sleep(60)
PY
cat > "$WORK/hook.py" <<'PY'
"""A webhook that checks signatures, fails while WORK/down exists, and loses its answer while WORK/lost does."""
import hashlib, hmac, json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

work, port = sys.argv[1], int(sys.argv[2])


class Hook(BaseHTTPRequestHandler):
    def do_GET(self):
        with open(f"{work}/beats", "a") as out:
            out.write("beat\n")
        self.answer(204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if os.path.exists(f"{work}/down"):
            return self.answer(503)
        row = {"path": self.path, "type": self.headers["Content-Type"], "notice": self.headers["Muletto-Notice"],
               "attempt": int(self.headers["Muletto-Attempt"]), "body": body.decode(), "signed": None}
        if sign := self.headers["Muletto-Signature"]:
            parts = dict(each.split("=", 1) for each in sign.split(","))
            right = hmac.new(b"hook secret", f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
            row["signed"] = hmac.compare_digest(right, parts["v1"]) and abs(time.time() - int(parts["t"])) < 60
        with open(f"{work}/hooks.jsonl", "a") as out:
            out.write(json.dumps(row) + "\n")
        if os.path.exists(f"{work}/lost"):
            time.sleep(600)
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Hook).serve_forever()
PY
mail_port=$(free_port) hook_port=$(free_port) trap_port=$(free_port) log_port=$(free_port)
start_background mail /usr/bin/python3 "$WORK/mail.py" "$WORK" "$mail_port"
start_background hook python3 "$WORK/hook.py" "$WORK" "$hook_port"
echo 'authCommunity log trap-secret' > "$WORK/snmptrapd.conf"
start_background traps snmptrapd -f -C -c "$WORK/snmptrapd.conf" -m '' -On -Lf "$WORK/traps" -p "$WORK/snmptrapd.pid" \
  "udp:127.0.0.1:$trap_port"
cat > "$WORK/rsyslog.conf" <<CONF
global(workDirectory="$WORK")
module(load="imtcp")
module(load="imudp")
input(type="imtcp" port="$log_port" address="127.0.0.1")
input(type="imudp" port="$log_port" address="127.0.0.1")
template(name="all" type="string" string="%syslogfacility-text%.%syslogseverity-text% %hostname% %app-name% %msgid% %structured-data% %msg%\n")
action(type="omfile" file="$WORK/syslog" template="all")
CONF
start_background rsyslog rsyslogd -n -f "$WORK/rsyslog.conf" -i "$WORK/rsyslogd.pid"
touch "$WORK/mails.jsonl" "$WORK/hooks.jsonl" "$WORK/traps" "$WORK/syslog" "$WORK/beats"

# ---- an appliance whose channels must not reach the machine itself, unless it says so
truncate -s 8M "$WORK/web.raw" "$WORK/db.raw"
start_appliance
printf 'hook secret\n' > "$WORK/hook.secret"
muletto channel create near webhook --url "http://127.0.0.1:$hook_port/near" > /dev/null
expect_failure 6 "of 1 channels failed" muletto channel test near
muletto channel show near | has "alerts.local_targets" || fail "the refusal is not explained"
muletto channel create byname webhook --url "http://localhost:$hook_port/near" > /dev/null
expect_failure 6 "failed" muletto channel test byname
[ ! -s "$WORK/hooks.jsonl" ] || fail "the machine itself was reached"
muletto channel delete near > /dev/null
muletto channel delete byname > /dev/null
expect_failure 3 "no channel 'near'" muletto channel show near
expect_failure 2 "only be named in mulettod.toml" muletto channel create evil command
expect_failure 2 "https://" muletto channel create evil webhook --url file:///etc/shadow
expect_failure 2 "unencrypted" muletto channel create evil mail --server mail --from a@example.com --to b@example.com \
  --security none --user u --password-file "$WORK/hook.secret"
stop_background mulettod
printf '[alerts]\nlocal_targets = true\nwebhook = "http://127.0.0.1:%s/file"\n' "$hook_port" > "$WORK/mulettod.toml"
start_appliance --config "$WORK/mulettod.toml"

# ---- channels of each kind, each tried
echo 'correct horse' > "$WORK/mail.password"
echo wrong > "$WORK/wrong.password"
echo trap-secret > "$WORK/community"
muletto channel create mail-us mail --server "127.0.0.1:$mail_port" --from backup@example.com --to on-call@example.com \
  --to boss@example.com --user backup --password-file "$WORK/mail.password" --authority-file "$WORK/mail.pem" > /dev/null
muletto channel create hook webhook --url "http://127.0.0.1:$hook_port/signed" --secret-file "$WORK/hook.secret" > /dev/null
muletto channel create teams webhook --url "http://127.0.0.1:$hook_port/teams" --format teams --severity critical > /dev/null
muletto channel create sms webhook --url "http://127.0.0.1:$hook_port/sms" --format sms --phone +49301234 > /dev/null
muletto channel create traps snmp --server "127.0.0.1:$trap_port" --community-file "$WORK/community" > /dev/null
muletto channel create log-tcp syslog --server "127.0.0.1:$log_port" --tcp > /dev/null
muletto channel create log-udp syslog --server "127.0.0.1:$log_port" > /dev/null
muletto channel create alive heartbeat --url "http://127.0.0.1:$hook_port/beat" --every 10s > /dev/null
muletto channel create boss webhook --url "http://127.0.0.1:$hook_port/boss" --escalation-after 1m > /dev/null
muletto alert test > "$WORK/tested" || fail "a channel fails: $(cat "$WORK/tested")"
# Alerts of the appliance itself may come at any time.
jq -se '[.[] | select(.body | contains("nothing is wrong"))] | length == 1 and all(.[]; .tls and (.to | length == 2))' \
  "$WORK/mails.jsonl" > /dev/null || fail "no test mail, or another one: $(cat "$WORK/mails.jsonl")"
tests_at() { jq -cs --arg path "$1" '[.[] | select(.path == $path and (.body | contains("test")))]' "$WORK/hooks.jsonl"; }
tests_at /signed | jq -e 'length == 1 and .[0].signed' > /dev/null || fail "not signed: $(cat "$WORK/hooks.jsonl")"
tests_at /file | jq -e 'length == 1 and .[0].signed == null' > /dev/null || fail "the file's webhook"
tests_at /teams | jq -e '.[0].body | fromjson | .attachments | length == 1' > /dev/null || fail "no card"
grep -q '1\.3\.6\.1\.4\.1\.32473\.7443\.0\.1' "$WORK/traps" || fail "no trap: $(cat "$WORK/traps")"
wait_until 10 "both ways of syslog" bash -c "[ \"\$(grep -c 'local0.notice .* mulettod test \[muletto@32473 notice=' '$WORK/syslog')\" = 2 ]"
! muletto channel list -o json | has -E 'correct horse|hook secret|trap-secret|/signed' || fail "a secret is shown"
! muletto channel show mail-us -o json | has -E 'correct horse|BEGIN CERT' || fail "a secret is shown"
# What is wrong with one is said, without its secret.
muletto channel create wrong mail --server "127.0.0.1:$mail_port" --from backup@example.com --to on-call@example.com \
  --user backup --password-file "$WORK/wrong.password" --authority-file "$WORK/mail.pem" > /dev/null
expect_failure 6 "failed" muletto channel test wrong
muletto channel create stranger mail --server "127.0.0.1:$mail_port" --from backup@example.com --to on-call@example.com > /dev/null
expect_failure 6 "failed" muletto channel test stranger
muletto channel show stranger | has -i certificate || fail "an unknown certificate is taken: $(muletto channel show stranger)"
has_channel_alert() { muletto alert list -o json | jq -e '.alerts[] | select(.kind == "alert-channel-failing" and .subject == "wrong")'; }
wait_until 20 "a channel that fails is an alert" has_channel_alert
muletto channel delete wrong > /dev/null
muletto channel delete stranger > /dev/null
wait_until 30 "a heartbeat" test -s "$WORK/beats"

# ---- an alert opens and closes, told through each
: > "$WORK/hooks.jsonl"; : > "$WORK/mails.jsonl"
write_agent_config agent "web=$WORK/web.raw" "db=$WORK/db.raw"
enroll_agent hv1 --config "$WORK/agent.toml"
start_background agent muletto-agent run --config "$WORK/agent.toml"
told() { jq -se --arg path "$1" --arg state "$2" --arg subject "$3" \
  'any(.[] | select(.path == $path) | .body | fromjson?; .state == $state and .subject == $subject)' "$WORK/hooks.jsonl"; }
wait_until 30 "the webhook is told" told /signed opened web
wait_until 30 "the file's webhook is told" told /file opened db
wait_until 30 "a mail" jq -se 'any(.[]; .subject == "[Muletto] warning: machine-unprotected: web (default)")' "$WORK/mails.jsonl"
wait_until 30 "a trap" grep -q 'machine-unprotected' "$WORK/traps"
wait_until 30 "syslog" grep -q 'local0.warning .* machine-unprotected .*subject="db"' "$WORK/syslog"
id_of() { muletto alert list -o json | json ".alerts[] | select(.kind == \"machine-unprotected\" and .subject == \"$1\") | .id"; }
jq -se 'all(.[] | select(.path == "/teams"); .body | contains("unprotected") | not)' "$WORK/hooks.jsonl" > /dev/null \
  || fail "a warning in the channel for what is critical"

# ---- acknowledged with a note; silenced, also across closing and opening again
muletto alert ack "$(id_of web)" --note "new machine" > /dev/null
muletto alert list -o json | jq -e '.alerts[] | select(.subject == "web" and .kind == "machine-unprotected")
  | .acknowledged_by == "root" and .acknowledged_note == "new machine" and .meaning != ""' > /dev/null || fail "no note"
expect_failure 2 "30 d" muletto alert silence "$(id_of db)" --for 31d
muletto alert silence "$(id_of db)" --for 1h --note "being built" > /dev/null
muletto machine protect db > /dev/null
wait_until 30 "that it closes is told" told /signed closed db
muletto machine unprotect db > /dev/null
again() { [ -n "$(id_of db)" ]; }
wait_until 30 "it opens again" again
muletto alert list -o json | jq -e '.alerts[] | select(.subject == "db" and .kind == "machine-unprotected")
  | .silenced.note == "being built"' > /dev/null || fail "the silence is forgotten"
sleep 5
[ "$(jq -s '[.[] | select(.path == "/signed") | .body | fromjson | select(.subject == "db" and .kind == "machine-unprotected" and .state == "opened")] | length' "$WORK/hooks.jsonl")" = 1 ] \
  || fail "a silenced alert is told"
muletto alert silence "$(id_of db)" --end > /dev/null
wait_until 30 "the end of the silence is told" told /signed reminded db
# One minute after it opened nobody has acknowledged it: but the other was.
wait_until 120 "it is escalated" told /boss escalated db
! told /boss escalated web > /dev/null || fail "what is acknowledged is escalated"
! told /boss opened db > /dev/null || fail "the boss is told at once"

# ---- killed in the middle: while a server is down, and while a server has taken a notice and not yet answered
: > "$WORK/hooks.jsonl"
touch "$WORK/down"
muletto machine protect web > /dev/null
wait_until 30 "it waits" bash -c "muletto channel show hook -o json | jq -e '.channel.standing.waiting_count >= 1'"
stop_background mulettod KILL
rm "$WORK/down"
start_appliance --config "$WORK/mulettod.toml"
wait_until 60 "told after the restart" told /signed closed web
web_notices() { jq -cs '[.[] | select(.path == "/signed") | . + {about: (.body | fromjson | "\(.kind) \(.subject)")} | select(.about == "machine-unprotected web")]' "$WORK/hooks.jsonl"; }
[ "$(web_notices | jq length)" = 1 ] || fail "told twice: $(web_notices)"
: > "$WORK/hooks.jsonl"
touch "$WORK/lost"
muletto machine unprotect web > /dev/null
wait_until 30 "the server has it" told /signed opened web
stop_background mulettod KILL
rm "$WORK/lost"
start_appliance --config "$WORK/mulettod.toml"
twice() { [ "$(web_notices | jq length)" = 2 ]; }
wait_until 60 "it is sent again, since nobody knows" twice
[ "$(web_notices | jq '[.[].notice] | unique | length')" = 1 ] || fail "the same notice has two ids: $(web_notices)"

# ---- the MIB explains what snmptrapd got, and says nothing that smilint would not accept
cat > "$WORK/SNMPv2-SMI.txt" <<'MIB'
SNMPv2-SMI DEFINITIONS ::= BEGIN
org OBJECT IDENTIFIER ::= { iso 3 }
dod OBJECT IDENTIFIER ::= { org 6 }
internet OBJECT IDENTIFIER ::= { dod 1 }
private OBJECT IDENTIFIER ::= { internet 4 }
enterprises OBJECT IDENTIFIER ::= { private 1 }
END
MIB
printf 'SNMPv2-CONF DEFINITIONS ::= BEGIN\nEND\n' > "$WORK/SNMPv2-CONF.txt"
translated=$(snmptranslate -M "$WORK:$SOURCE/appliance/dist" -m MULETTO-MIB .1.3.6.1.4.1.32473.7443.1.7.0 2>&1)
[ "$translated" = MULETTO-MIB::mulettoMessage.0 ] || fail "the MIB: $translated"
translated=$(snmptranslate -M "$WORK:$SOURCE/appliance/dist" -m MULETTO-MIB .1.3.6.1.4.1.32473.7443.0.1 2>&1)
[ "$translated" = MULETTO-MIB::mulettoAlert ] || fail "the MIB: $translated"
# Debian has smilint, but only its contrib section the modules that every MIB imports.
if command -v smilint > /dev/null && smilint SNMPv2-SMI > /dev/null 2>&1; then
  complaints=$(smilint -l 4 "$SOURCE/appliance/dist/MULETTO-MIB.txt" 2>&1) || true
  [ -z "$complaints" ] || fail "smilint: $complaints"
fi
