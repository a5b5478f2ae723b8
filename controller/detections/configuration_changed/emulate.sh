#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The container is renamed, and gets its name back: the smallest change that its daemon tells of. Where a window, the
# list AuthorizedAdminUsers or a label authorises whoever runs this, it is recorded, and there is no alert.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to change}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
docker rename "$CONTAINER" "${name#/}-changed"
sleep 3
docker rename "$CONTAINER" "${name#/}"
