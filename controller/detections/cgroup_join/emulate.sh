#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host moves a shell into the container's cgroup, in each hierarchy that takes it, and runs a command.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

id=$(docker inspect --format '{{.Id}}' "$CONTAINER")
find /sys/fs/cgroup -type d -name "*$id*" | (
    while read -r folder; do
        { sh -c 'echo $PPID >"$1/cgroup.procs"' move "$folder"; } 2>/dev/null || true
    done
    sh -c 'cd /; pwd'
)
