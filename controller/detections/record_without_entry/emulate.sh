#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Docker tells that it began an exec which the kernel never sees: the user is not in the container, so the daemon
# gives up between its own record and the runtime. Given: CONTAINER, and DOCKER_HOST where the daemon is elsewhere.
set -eu
: "${CONTAINER:?the container to begin an exec in}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

if docker exec --user nobody-of-this-name "$CONTAINER" /bin/true; then
    echo "the exec was not to succeed" >&2
    exit 1
fi
