# Installs the agent of Muletto on this host, enrols it and starts it. The appliance serves this script
# at /install; 'muletto token create' prints the line that fetches and runs it.
#
#   sh -s -- HOST:PORT FINGERPRINT PIN [--token-file FILE] [--name NAME]
#
# PIN is the appliance's public key. The line has pinned it already, so nothing of this script has run if
# another server answered, and everything that it fetches is pinned to the same key. The token is asked
# for on the terminal, and sent only to the appliance whose authority has FINGERPRINT.
#
# All of it is one function, so that a script which arrives in part does nothing.
main() {
  set -eu
  umask 077

  complain() {
    echo "muletto: $1" >&2
    exit 1
  }

  [ $# -ge 3 ] || complain "run the line that 'muletto token create' prints on the appliance"
  appliance=$1 fingerprint=$2 pin=$3
  shift 3
  token_file= name=
  while [ $# -gt 0 ]; do
    case $1 in
      --token-file) token_file=${2:-} ;;
      --name) name=${2:-} ;;
      *) complain "there is no option '$1' (--token-file, --name)" ;;
    esac
    [ -n "${2:-}" ] || complain "$1 needs a value"
    shift 2
  done

  [ "$(id -u)" -eq 0 ] || complain "run this as root"
  for program in curl dpkg apt-get sha256sum; do
    command -v "$program" > /dev/null || complain "this host has no $program: Debian 12 is needed, with curl"
  done
  if [ -z "$token_file" ] && ! (: < /dev/tty) 2> /dev/null; then
    complain "there is no terminal to ask for the token: give it in a file, --token-file FILE"
  fi
  [ -z "$token_file" ] || [ -r "$token_file" ] || complain "$token_file cannot be read"

  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  fetch() {
    curl --fail --silent --show-error --proto =https --insecure --pinnedpubkey "sha256//$pin" \
      --max-filesize 268435456 --output "$2" "https://$appliance/packages/$1" \
      || complain "$appliance did not send $1"
  }

  fetch list "$folder/list"
  architecture=$(dpkg --print-architecture)
  : > "$folder/sums"
  for package in muletto-common muletto-agent; do
    # The newest, if there are several: the list has it first.
    line=$(grep -E "^[0-9a-f]{64}  ${package}_[0-9A-Za-z.+~:-]+_${architecture}\.deb\$" "$folder/list" \
      | sed -n 1p)
    [ -n "$line" ] || complain "$appliance has no $package for $architecture: see docs/operations.md"
    fetch "${line#*  }" "$folder/${line#*  }"
    echo "$line" >> "$folder/sums"
  done
  (cd "$folder" && sha256sum --quiet --check sums) || complain "a package arrived damaged: try again"

  chmod 755 "$folder"
  chmod 644 "$folder"/*.deb
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$folder"/*.deb < /dev/null \
    || complain "the packages cannot be installed: see above"

  if [ -n "$token_file" ]; then
    muletto-agent enroll "$appliance" --fingerprint "$fingerprint" --token-file "$token_file" \
      ${name:+--name "$name"}
  else
    muletto-agent enroll "$appliance" --fingerprint "$fingerprint" ${name:+--name "$name"} < /dev/tty
  fi
  if [ -d /run/systemd/system ]; then
    systemctl enable --now muletto-agent
  else
    echo "muletto: systemd does not run here: start 'muletto-agent run' yourself" >&2
  fi
  echo "The machines of this host:"
  muletto-agent list || echo "muletto: they cannot be listed yet: see 'muletto-agent doctor'" >&2
}

main "$@"
