#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The container's loopback gets an address of the documentation's (RFC 5737), so that no real daemon is asked; then a
# visitor connects to Docker's port there. The address goes with the container's network.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host, and ip.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

nsenter --target "$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")" --net ip address add 192.0.2.1/32 dev lo
docker exec "$CONTAINER" nc -w 2 192.0.2.1 2375 </dev/null || true
