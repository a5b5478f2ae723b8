#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A visitor has netcat listen for a second; the container has no network that anybody could come by.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

docker exec "$CONTAINER" timeout 1 nc -l -p 4444 </dev/null || true
