#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A process in the container joins the host's mount namespace by a descriptor that leaked in (fd 9). The container
# has no rights to get one itself, so root of the host brings it along.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to get out of}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

nsenter --target "$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")" --all \
    /bin/sh -c 'nsenter --mount=/proc/self/fd/9 /bin/sh -c "cd /; pwd"' 9</proc/self/ns/mnt
