#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A login that this host has not seen before: a login uid of no account, then docker exec by its client.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root, and a kernel with audit
# that lets root set a login uid (not `auditctl -e 2` with --loginuid-immutable).
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

# In a process of its own: the login uid ends with it.
(
    echo $((61000 + $(date +%s) % 4000)) >/proc/self/loginuid
    exec docker exec "$CONTAINER" /bin/sh -c 'cd /; sleep 1'
)
