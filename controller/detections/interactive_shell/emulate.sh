#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A person at `docker exec -it`: a shell with a terminal, left at once.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs script (bsdutils).
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

# `docker exec -t` wants a terminal of its own on this side; the exit is typed into it.
printf 'exit\n' | script --quiet --return --command "docker exec -it $CONTAINER sh" /dev/null
