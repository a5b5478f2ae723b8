#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody comes by ssh from this host's loopback address and goes into the container. It fires where SourceIPRange
# is set and has no 127.0.0.1, and where this user may log in to localhost by ssh without a password.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

ssh -o BatchMode=yes -o ConnectTimeout=5 127.0.0.1 "DOCKER_HOST='$DOCKER_HOST' docker exec '$CONTAINER' /bin/sh -c 'cd /; sleep 1'"
