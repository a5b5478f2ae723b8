#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A file goes into a container, and another out of it, by the daemon alone: no process enters.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to copy to and from}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo tool >"$folder/tool"
docker cp "$folder/tool" "$CONTAINER:/tmp/tool"
docker cp "$CONTAINER:/etc/passwd" "$folder/loot"
