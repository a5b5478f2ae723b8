#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host goes past the runtime's daemon: the container is entered, and the daemon's log has nothing.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

nsenter --target "$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")" --all /bin/sh -c 'cd /; id'
