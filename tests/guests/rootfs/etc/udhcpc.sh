#!/bin/sh
# Called by udhcpc with what happened, and the lease in the environment.
# shellcheck disable=SC2154
case $1 in
  deconfig)
    ip addr flush dev "$interface"
    ;;
  bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do
      ip route add default via "$gateway" dev "$interface"
      break
    done
    ;;
esac
