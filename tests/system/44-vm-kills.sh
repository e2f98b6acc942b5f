#!/usr/bin/env bash
# timeout: 600
# The short form of tests/load/vm-kills: export, QEMU, daemon and power, one kill of each.
exec "$(dirname "$0")/../load/vm-kills" 4 7
