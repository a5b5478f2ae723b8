#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A tool is fetched into the container, from a port of its own loopback that nobody listens on.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

# It fails, as it must: what counts is that it was run.
docker exec "$CONTAINER" wget -T 1 -O /dev/null http://127.0.0.1:9/tool || true
