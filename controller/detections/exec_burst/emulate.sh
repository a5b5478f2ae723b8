#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A script goes into the same container twelve times: over the threshold that is set by default, 10/10m.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    docker exec "$CONTAINER" /bin/true
done
