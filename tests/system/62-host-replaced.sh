#!/usr/bin/env bash
# timeout: 180
# Two hosts of one name, and a host that is installed again: each is told what to do, and the second gets its machines
# back by one confirmed step.
. "$(dirname "$0")/lib.sh"

require_commands jq
require_programs mulettod muletto muletto-agent

start_appliance
for name in web db; do head -c 1M /dev/urandom > "$WORK/$name.raw"; done
write_agent_config first "web=$WORK/web.raw" "db=$WORK/db.raw"
write_agent_config second "web=$WORK/web.raw" "db=$WORK/db.raw"
enroll_agent alpha --config "$WORK/first.toml" > /dev/null
for name in web db; do muletto-agent sync "$name" --config "$WORK/first.toml" > /dev/null; done

# Another host of that name is offered one of its own; the refused attempt leaves the token valid.
expect_failure 4 "already enrolled.*--name NAME.*muletto host replace alpha alpha" enroll_agent alpha --config "$WORK/second.toml"
[ "$(muletto machine show web -o json | json .machine.host)" = alpha ] || fail "the machine changed hosts"

# The same host, installed again.
muletto host revoke alpha > /dev/null
enroll_agent alpha --config "$WORK/second.toml" > /dev/null
expect_failure 5 "muletto host replace 'alpha' HOST" muletto-agent sync web --config "$WORK/second.toml"
expect_failure 2 "2 machines of the host alpha to the host alpha .db, web.*--yes" muletto host replace alpha alpha < /dev/null
expect_failure 5 "belongs to another host" muletto-agent sync web --config "$WORK/second.toml"
expect_failure 3 "no machine belongs to a host 'nobody'" muletto host replace nobody alpha --yes
expect_failure 3 "no host 'nobody'" muletto host replace alpha nobody --yes
muletto host replace alpha alpha --yes | has "db, web" || fail "nothing was said"
for name in web db; do
  muletto-agent sync "$name" --config "$WORK/second.toml" > /dev/null || fail "$name cannot be synced"
  [ "$(muletto machine show "$name" -o json | json .machine.point_count)" = 2 ] || fail "$name has not two points"
done
expect_failure 5 "revoked" muletto-agent sync web --config "$WORK/first.toml"

# To a host of another name; a revoked one gets none.
muletto host list -o json | json '.hosts[] | select(.revoked) | .id' > "$WORK/revoked"
expect_failure 2 "is revoked" muletto host replace alpha "$(cat "$WORK/revoked")" --yes
write_agent_config third "web=$WORK/web.raw" "db=$WORK/db.raw"
enroll_agent beta --config "$WORK/third.toml" > /dev/null
muletto host replace alpha beta --yes > /dev/null
[ "$(muletto machine list -o json | json '[.machines[].host] | unique | join(" ")')" = beta ] || fail "not all changed hosts"
