#!/usr/bin/env bash
# timeout: 180
# Metrics as Prometheus reads them: its own checker accepts text and rules, a real server collects them and its rules
# fire, each token gets its tenant's.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl promtool prometheus
require_programs mulettod muletto muletto-agent
ensure_libvirt

promtool check rules "$SOURCE/appliance/dist/muletto.rules.yml" > "$WORK/rules.out" 2>&1 || fail "$(cat "$WORK/rules.out")"
truncate -s 8M "$WORK/web.raw"
start_appliance
muletto tenant create bakery > /dev/null
token() { muletto token create --for operator ${1:+--tenant "$1"} --expires never -o json | json .token.token; }
all_token=$(token "")
bakery_token=$(token bakery)
metrics() { curl -sSk --fail-with-body -H "Authorization: Bearer $1" "https://$(appliance_address)/metrics${2:-}"; }
write_agent_config agent "web=$WORK/web.raw"
enroll_agent hv1 --config "$WORK/agent.toml"
start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 30 "the agent reports" bash -c 'muletto machine list -o json | jq -e ".machines[] | select(.name == \"web\")"'
muletto sync start web > /dev/null
synced() { metrics "$all_token" | has -Fx 'muletto_machine_points{tenant="default",machine="web"} 1'; }
wait_until 30 "the point is counted" synced

metrics "$all_token" > "$WORK/all.prom"
promtool check metrics < "$WORK/all.prom" > "$WORK/check.out" 2>&1 || fail "promtool: $(cat "$WORK/check.out")"
for line in 'muletto_machine_protected{tenant="default",machine="web"} 0' 'muletto_store_usable{tenant="default"} 1' \
  'muletto_unreadable 0' 'muletto_store_points{tenant="default"} 1' 'muletto_failing_duties 0'; do
  grep -qFx "$line" "$WORK/all.prom" || fail "no $line in $(cat "$WORK/all.prom")"
done
for name in machine_newest_point_age_seconds machine_last_sync_read_bytes machine_last_sync_duration_seconds alerts_open \
  certificate_expiry_timestamp_seconds instant_vms store_pack_bytes store_disk_free_bytes jobs_open info; do
  grep -q "^muletto_$name[{ ]" "$WORK/all.prom" || fail "no muletto_$name"
done
metrics "$bakery_token" > "$WORK/bakery.prom"
! grep -q '"default"\|"web"\|hv1' "$WORK/bakery.prom" || fail "another tenant's metrics"
metrics "$all_token" '?tenant=bakery' | has -F 'tenant="bakery"' || fail "a tenant's own"
curl -sk -o /dev/null -w '%{http_code}' "https://$(appliance_address)/metrics" | has -x 401 || fail "a stranger sees metrics"

# ---- a real server
port=$(free_port)
printf '%s' "$all_token" > "$WORK/token"
cat > "$WORK/prometheus.yml" <<YML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$WORK/rules.yml]
scrape_configs:
  - job_name: muletto
    scheme: https
    authorization: {credentials_file: $WORK/token}
    tls_config: {insecure_skip_verify: true}
    static_configs: [{targets: ["$(appliance_address)"]}]
YML
# Nobody waits an hour here.
sed 's/for: .*/for: 1s/' "$SOURCE/appliance/dist/muletto.rules.yml" > "$WORK/rules.yml"
start_background prometheus prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/tsdb" \
  --web.listen-address="127.0.0.1:$port"
fires() { curl -sS "http://127.0.0.1:$port/api/v1/alerts" | jq -e "any(.data.alerts[]; .labels.alertname == \"$1\" and .state == \"firing\")"; }
wait_until 60 "the rule of an unprotected machine fires" fires MulettoMachineNotProtected
# Each query of the dashboard is one that Prometheus takes, and most have an answer here.
answered=0
while read -r query; do
  query=${query//\$instance/.*}
  curl -sS --get --data-urlencode "query=$query" "http://127.0.0.1:$port/api/v1/query" > "$WORK/answer"
  jq -e '.status == "success"' "$WORK/answer" > /dev/null || fail "$query: $(cat "$WORK/answer")"
  [ "$(jq '.data.result | length' "$WORK/answer")" -eq 0 ] || answered=$((answered + 1))
done < <(jq -r '.panels[].targets[].expr' "$SOURCE/appliance/dist/muletto-dashboard.json")
[ "$answered" -ge 8 ] || fail "only $answered of the dashboard's queries have an answer"
stop_background mulettod
wait_until 60 "an appliance that is silent" fires MulettoSilent
