#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The container's loopback gets the address of the metadata service, so that nobody real is asked; then a visitor
# asks it. The address goes with the container's network.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host, and ip.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

nsenter --target "$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")" --net ip address add 169.254.169.254/32 dev lo
docker exec "$CONTAINER" nc -w 2 169.254.169.254 80 </dev/null || true
