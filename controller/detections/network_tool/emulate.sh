#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A tool is fetched into the container, from an address that leads nowhere (192.0.2.0/24 is for documentation).
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

# It fails, as it must: what counts is that it was run.
docker exec "$CONTAINER" wget -T 1 -O /dev/null http://192.0.2.1/tool || true
