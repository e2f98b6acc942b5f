#!/usr/bin/env bash
# timeout: 400
# Guests that lie: an agent that answers with other types, depths and sizes; a static address that a live production
# server has, with the copy's own service dead (must not pass) and alive (must pass, because it was really asked); a
# flood on the serial line and a large screen; file systems made to hurt what checks them. The daemon lives, every test
# boot has its own verdict, an alert names the machine, and nothing is left. The firewall rules of isolated networks are
# put back when somebody takes them away.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit nbdfuse virsh tesseract ip iptables curl mke2fs debugfs python3
require_programs mulettod muletto muletto-sandbox muletto-parse nbdkit-muletto-plugin.so
ensure_libvirt

# ---- a production network: a live server at the address that the copies have
subnet=10.$((100 + RANDOM % 100)).$((RANDOM % 250))
space=muletto-production-$$
ip netns add "$space"
on_exit ip netns del "$space"
ip link add "mup$$" type veth peer name eth0 netns "$space"
ip addr add "$subnet.1/24" dev "mup$$"
ip link set "mup$$" up
ip -n "$space" addr add "$subnet.5/24" dev eth0
ip -n "$space" link set eth0 up
mkdir "$WORK/production" && echo "the original" > "$WORK/production/index.html"
start_background production ip netns exec "$space" python3 -u -m http.server 80 --bind "$subnet.5" --directory "$WORK/production"
wait_until 10 "production answers" curl -sf --noproxy '*' --max-time 2 "http://$subnet.5/"
: > "$WORK/production.log"

# ---- the guests
rcs=$SOURCE/tests/guests/rootfs/etc/init.d/rcS
# static NAME   a start script without DHCP, for --extra.
static() {
  mkdir -p "$WORK/extra-$1/etc/init.d"
  sed "s|udhcpc .*|ip addr add $subnet.5/24 dev \"\$interface\"; ip route add default via $subnet.1 \\&|; s|> \"/run/udhcpc.*||" \
    "$rcs" > "$WORK/extra-$1/etc/init.d/rcS"
  chmod 755 "$WORK/extra-$1/etc/init.d/rcS"
}
static alive
static dead
sed -i '/^httpd/d' "$WORK/extra-dead/etc/init.d/rcS"
static liar
sed -i '/^httpd/d' "$WORK/extra-liar/etc/init.d/rcS"
mkdir -p "$WORK/extra-liar/sbin"
cat > "$WORK/extra-liar/sbin/guest-agent" <<'SH'
#!/bin/sh
export PATH=/bin:/sbin
for path in /sys/class/virtio-ports/*; do
  [ "$(cat "$path/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] && port=/dev/${path##*/}
done
exec 3<> "$port"
deep=$(head -c 20000 /dev/zero | tr '\0' '[')
count=0
while read -r line <&3; do
  case $line in
    *guest-sync*) id=${line##*'"id":'}; printf '{"return":%s}\n' "${id%%[!0-9]*}" >&3 ;;
    *guest-ping*) printf '{"return":{}}\n' >&3 ;;
    *get-interfaces*)
      count=$((count + 1))
      case $((count % 5)) in
        0) printf '{"return":[{"name":5,"ip-addresses":"x"}]}\n' >&3 ;;
        1) printf '{"return":{"name":[]}}\n' >&3 ;;
        2) printf '{"return":%s}\n' "$deep" >&3 ;;
        3) printf '{"return":[{"hardware-address":"%s","ip-addresses":[{"ip-address":"$(reboot)"},{"ip-address":"10.0.0.5 -x"}]}]}\n' \
          "$(cat /sys/class/net/eth0/address)" >&3 ;;
        4) printf '{"return":[{"hardware-address":"%s","ip-addresses":[{"ip-address":"SUBNET.5","prefix":-7}]}]}\n' \
          "$(cat /sys/class/net/eth0/address)" >&3 ;;
      esac ;;
    *guest-exec-status*) printf '{"return":{"exited":"yes","exitcode":{}}}\n' >&3 ;;
    *guest-exec*) printf '{"return":{"pid":7}}\n' >&3 ;;
    *) printf '{"error":5}\n' >&3 ;;
  esac
done
SH
sed -i "s/SUBNET/$subnet/" "$WORK/extra-liar/sbin/guest-agent"
chmod 755 "$WORK/extra-liar/sbin/guest-agent"
# Noise on the serial line, and as UEFI variables until the firmware has no room for more. (No screen larger than the
# 16 MiB of its card can hold is possible: tests of the decoders show what others would come to.)
mkdir -p "$WORK/extra-flood/etc/init.d"
{
  cat "$rcs"
  # shellcheck disable=SC2016
  printf '%s\n' 'mount -t efivarfs e /sys/firmware/efi/efivars
(for i in $(seq 100); do
  { printf "\007\000\000\000"; head -c 8000 /dev/urandom; } > /run/noise
  dd if=/run/noise bs=16k of=/sys/firmware/efi/efivars/Noise$i-5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b || break
done; echo "noise: $i variables" > /dev/ttyS0) &'
  printf '%s\n' '(for i in $(seq 400); do head -c 2000 /dev/urandom; printf "\033[999;999H\033]0;\377\377login: Kernel\033[2J\n"; sleep 0.1; done) > /dev/ttyS0 &'
} | sed 's|hostname:$(hostname)|hostname:;reboot;\\$(reboot)|' > "$WORK/extra-flood/etc/init.d/rcS"
chmod 755 "$WORK/extra-flood/etc/init.d/rcS"

state=$(appliance_state) run=$(appliance_run)
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
add() { muletto store import "$state/stores/default" --machine "$1" --disk "vda=$2" --format raw > /dev/null && rm "$2"; }
for name in alive dead liar; do
  "$SOURCE/tests/guests/build-guest" "$WORK/$name.img" --hostname $name --size 128 --extra "$WORK/extra-$name"
  add $name "$WORK/$name.img"
done
"$SOURCE/tests/guests/build-guest" "$WORK/flood.img" --hostname flood --size 128 --firmware uefi --screen 1920x1080 --extra "$WORK/extra-flood"
add flood "$WORK/flood.img"
# A table whose names are made to break lines, and an ext4 whose superblock lies about everything.
truncate -s 96M "$WORK/hurt.img"
printf 'label: gpt\nstart=1MiB, size=64MiB, name="a\\x1b[2J;$(reboot)"\n' | sfdisk -q "$WORK/hurt.img"
mke2fs -q -F -t ext4 -E offset=$((1 << 20)) "$WORK/hurt.img" 60M
printf '\xff\xff\xff\x7f\xff\xff\xff\x7f' | dd of="$WORK/hurt.img" bs=1 seek=$(((1 << 20) + 1024 + 32)) conv=notrunc status=none
printf '\xff\xff\x00\x00' | dd of="$WORK/hurt.img" bs=1 seek=$(((1 << 20) + 1024 + 88)) conv=notrunc status=none
add hurt "$WORK/hurt.img"

# Definitions with half a surrogate pair in the words that end up in sentences.
for name in broken-a broken-b; do
  truncate -s 1M "$WORK/$name.img"
  printf '%s' "<domain type='qemu'><name>$name</name><os><type arch='&#xD800;' machine='&#xDFFF;'>hvm</type></os>" \
    "<devices><disk><target dev='&#xDC00;' bus='&#xD800;'/></disk></devices></domain>" > "$WORK/$name.xml"
  muletto store import "$state/stores/default" --machine $name --disk "vda=$WORK/$name.img" --format raw \
    --libvirt-xml "$WORK/$name.xml" > /dev/null
done

printf '[verification]\nwatch_on = "2s"\n' > "$WORK/mulettod.toml"
start_appliance --config "$WORK/mulettod.toml"
muletto tenant adopt default > /dev/null
daemon=$(background_pid mulettod)
mkdir -p "$state/checks"
printf '#!/bin/sh\n[ "$(id -u)" != 0 ] && [ -r /proc/net/route ] && ! grep -q "^[^[:space:]]*[[:space:]]00000000[[:space:]]" /proc/net/route && ! touch /etc/muletto-was-here 2> /dev/null &&
  wget -q -O - "http://$MULETTO_GUEST/" | grep -q "hello from alive"\n' > "$state/checks/page"
sed -i 's/wget -q -O -/curl -sf --max-time 5/' "$state/checks/page"
chmod 755 "$state/checks/page"
muletto verify checks alive --set http:80/ --set appliance:page > /dev/null
muletto verify checks dead --set http:80/ > /dev/null
muletto verify checks liar --set "guest:true" > /dev/null

# ---- a start of several, in the disaster: what cannot be started says so, and that is all
status=0
muletto boot start broken-a@latest broken-b@latest > "$WORK/several" 2>&1 || status=$?
[ $status -ne 0 ] && [ "$(grep -c "machine of architecture" "$WORK/several")" -ge 2 ] || fail "$status: $(cat "$WORK/several")"
iconv -f utf-8 -t utf-8 "$WORK/several" > /dev/null || fail "words that are no UTF-8"

# ---- all at once
for name in alive dead liar flood hurt; do
  (muletto verify start $name@latest -o json > "$WORK/$name.json" 2> "$WORK/$name.err" || true) &
  eval "job_$name=$!"
done
# Meanwhile somebody reloads the firewall: our own chain is emptied, as far as it concerns nobody else.
_isolated() { find /sys/class/net -maxdepth 1 -name 'muli*' | has . && iptables -S MULETTO_ISOLATED; }
_guarded() { [ "$(iptables -S MULETTO_ISOLATED | grep -c '^-A')" = 4 ] && iptables -C INPUT -i muli+ -j MULETTO_ISOLATED; }
wait_until 60 "an isolated network is there" _isolated
iptables -F MULETTO_ISOLATED
wait_until 15 "the rules are put back" _guarded
# shellcheck disable=SC2154
wait "$job_alive" "$job_dead" "$job_liar" "$job_flood" "$job_hurt"

# said NAME VERDICT REGEX   the verdict, and words among its reasons.
said() {
  [ "$(json .verification.verdict < "$WORK/$1.json")" = "$2" ] \
    || fail "$1 is not $2: $(jq -c '.verification | {verdict, reasons, evidence}' "$WORK/$1.json") $(cat "$WORK/$1.err")"
  jq -e --arg words "$3" '[.verification.reasons[] | select(test($words))] | length > 0' "$WORK/$1.json" > /dev/null \
    || fail "$1 does not say '$3': $(jq -c .verification.reasons "$WORK/$1.json")"
}
said alive pass "http:80/ answered"
said alive pass "appliance:page succeeded"
jq -e --arg address "$subnet.5" '[.verification.evidence[] | select(.signal == "address" and .subject == $address)] | length > 0' \
  "$WORK/alive.json" > /dev/null || fail "the static address was not found: $(jq -c .verification.evidence "$WORK/alive.json")"
said dead fail "http:80/ does not answer"
said liar fail "guest:true does not answer"
said flood pass "."
said hurt fail "."
[ ! -s "$WORK/production.log" ] || fail "production was asked in the copy's place: $(cat "$WORK/production.log")"
! grep -q "muletto-was-here" <(ls /etc) || fail "an operator's script could write"
[ "$(cat "$state"/catalog.sqlite* | wc -c)" -lt $((64 << 20)) ] || fail "the evidence is large: $(ls -l "$state")"

# ---- the daemon is the same, says who it was, and left nothing
[ "$(background_pid mulettod)" = "$daemon" ] && background_alive mulettod || fail "the daemon has ended"
_alert() { muletto alert list -o json | jq -e '[.alerts[] | select(.kind == "verification-failed" and .subject == "dead")] | length == 1'; }
wait_until 20 "an alert names the machine" _alert
_left() { find /sys/class/net -maxdepth 1 -name 'mulv*' -o -maxdepth 1 -name 'muli*'; pgrep -f "muletto-sandbox.*$WORK" || true; }
_nothing_left() { [ -z "$(_left)" ] || { _left; return 1; }; }
wait_until 20 "nothing is left" _nothing_left
pass
