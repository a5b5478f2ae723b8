#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A visitor looks round, then reaches for the password hashes.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

docker exec "$CONTAINER" id
# May be refused: that it was tried is what counts.
docker exec "$CONTAINER" sh -c 'uname -a; cat /proc/1/cgroup; cat /etc/shadow' || true
