#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root with more capabilities than the container has, which runs as somebody else with a few.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Falls back to nsenter, as root.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

# A host that lacks a capability itself (a machine inside a machine) cannot give all of them: "unable to apply caps".
docker exec --privileged --user 0 "$CONTAINER" grep CapEff /proc/self/status ||
    nsenter --target "$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")" --all grep CapEff /proc/self/status
